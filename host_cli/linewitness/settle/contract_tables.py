"""Every table and key that a contract's TOML may have: what it takes, for whom, and what it means in one line.

The one place where the shape is written down. contract_check refuses by it, contract_schema prints it as JSON Schema,
`contract new` asks by it, and docs/contract.md is held to name every key of it.

Some keys belong to some kinds of entry only: a table with `by` has kinds, told apart by that key's word; KEY.only names
the kinds that may have it, Table.needs what each kind must have.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
QUALITY = ("mos", "loss", "jitter", "latency", "call_quality")
CLOCKS = ("response", "update", "restore")
METRICS = ("availability", *QUALITY, *CLOCKS, "failover")
LIMITS = {
    "mos": "limit_mos", "loss": "limit_loss_percent", "jitter": "limit_jitter_ms", "latency": "limit_latency_ms",
}  # fmt: skip
WINDOWS = ("month", "quarter", "year", "two_months")
HOURS_OF_DAY = r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$"
STEPS = ("step_percent", "step_mos", "step_ms", "step_min")
UNITS_OF_BANDS = ("percent", "mos", "ms", "min")


@dataclass(frozen=True, slots=True)
class Key:
    """What a key takes: types, whether it must be there, the words, the range or the pattern allowed.

    items: what a list holds, words or one type. only: the kinds of its table that may have it, all where empty.
    """

    says: str
    types: tuple[type, ...]
    required: bool = False
    words: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None
    pattern: str = ""
    items: type | None = None
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the file. many: [[name]]; loose: [name] will do where there is one; inside: what holds it."""

    says: str
    keys: dict[str, Key]
    many: bool = False
    loose: bool = False
    required: bool = False
    inside: str = ""
    by: str = ""
    needs: dict[str, tuple[str, ...]] = field(default_factory=dict)


def _text(says: str, **more: object) -> Key:
    return Key(says, (str,), **more)  # type: ignore[arg-type]


def _number(says: str, most: int = 1_000_000_000, **more: object) -> Key:
    return Key(says, (int, Decimal), least=0, most=most, **more)  # type: ignore[arg-type]


def _whole(says: str, least: int, most: int, **more: object) -> Key:
    return Key(says, (int,), least=least, most=most, **more)  # type: ignore[arg-type]


def _word(says: str, *words: str, **more: object) -> Key:
    return Key(says, (str,), words=words, **more)  # type: ignore[arg-type]


def _flag(says: str, **more: object) -> Key:
    return Key(says, (bool,), **more)  # type: ignore[arg-type]


def _date(says: str, **more: object) -> Key:
    return Key(says, (date,), **more)  # type: ignore[arg-type]


def _words(says: str, *words: str, **more: object) -> Key:
    return Key(says, (list,), words=words, items=str, **more)  # type: ignore[arg-type]


CLAUSE = _text("the clause of the signed paper")
PAYS = {
    "percent": _number("percent of the base", 100, only=("flat", "per_step", "per_failure")),
    "days": _number("days' worth of the base", 366, only=("flat", "per_step", "per_failure")),
}

TABLES: dict[str, Table] = {
    "contract": Table("who promises, since when, and whose clock counts", {
        "name": _text("the contract's name", required=True),
        "provider": _text("the provider, as in the sites' files", required=True),
        "time_zone": _text("IANA zone in which the months are reckoned", required=True),
        "effective_from": _date("the first day", required=True),
        "effective_until": _date("the first day that is no longer covered"),
        "currency": _text("of the charges, three letters", pattern="^[A-Z]{3}$"),
        "measure_of_record": _word("whose records govern", "provider", "third_party", "customer", "either"),
        "sole_remedy": _flag("credits are all that is owed"),
        "billing_day": _whole("the day of the month on which a billing cycle begins", 1, 28),
        "clause": CLAUSE,
    }, required=True),
    "source": Table("where the signed paper is", {
        "url": _text("address"), "version": _text("its version"), "effective": _text("its date as printed"),
        "sha256": _text("SHA-256 of the signed file, in hex", pattern="^([0-9a-f]{64})?$"), "page": _text("page"),
    }),
    "business_hours": Table("what \"business\" means in the contract's time zone", {
        "days": _words("days of the week", *DAYS, required=True),
        "opens": _text("HH:MM", required=True, pattern=HOURS_OF_DAY),
        "closes": _text("HH:MM, 24:00 is midnight; not after opens: the next day", required=True, pattern=HOURS_OF_DAY),
        "holidays": Key("days that do not count", (list,), items=date), "clause": CLAUSE,
    }),
    "charge": Table("what is paid a month: credits are percent of it", {
        "base": _word("which charge", "mrc", "affected_service", "usage", "user", required=True),
        "amount": _number("a month, in the contract's currency", required=True),
        "site": _text("of this site; without it, of each"),
        "users": _whole("people at the site: base user is an amount for each", 1, 1_000_000),
    }, many=True),
    "commitment": Table("one promise", {
        "name": _text("what the credit and the reports call it; the metric where left out"),
        "metric": _word("what is promised", *METRICS, required=True),
        "window": _word("over which time", *WINDOWS, required=True),
        "scope": _word("for whom it is reckoned", "site", "account", "service", "user"),
        "hours": _word("when it holds", "24x7", "business", only=("availability", *QUALITY)),
        "target_percent": _number("availability that is promised", 100, only=("availability",)),
        "statistic": _word("the mean of all windows, or the share of them beyond the limit", "mean", "share",
                           only=QUALITY),
        "limit_mos": _number("MOS at least", 5, only=("mos", "call_quality")),
        "limit_loss_percent": _number("packets lost or late, at most", 100, only=("loss", "call_quality")),
        "limit_jitter_ms": _number("RFC 3550 jitter, at most", 10_000, only=("jitter", "call_quality")),
        "limit_latency_ms": _number("round trip, at most", 60_000, only=("latency", "call_quality")),
        "one_way": _flag("the limit of latency is one way: half of the round trip is compared", only=(
            "latency", "call_quality")),
        "max_share_percent": _number("of the calls or intervals may be beyond the limit", 100, only=QUALITY),
        "interval_s": _whole("windows are pooled in intervals of so many seconds; without it each is a call",
                             10, 86_400, only=QUALITY),
        "wired_only": _flag("only wired endpoints are eligible", only=QUALITY),
        "certified_phone": _flag("only phones that the provider has certified are eligible", only=QUALITY),
        "managed_network_only": _flag("only a network that the provider manages is eligible", only=QUALITY),
        "priority": _text("the [[priority]] whose clock it is", only=CLOCKS),
        "within_percent": _number("of the tickets in time; without it every one", 100, only=CLOCKS),
        "within_s": _whole("service is back on the other path within so many seconds", 0, 86_400, only=("failover",)),
        "to": _word("what takes over", "backup", "alternate_carrier", only=("failover",)),
        "clause": CLAUSE,
    }, many=True, required=True, by="metric", needs={
        "availability": ("target_percent",), "mos": ("statistic", "limit_mos"),
        "loss": ("statistic", "limit_loss_percent"), "jitter": ("statistic", "limit_jitter_ms"),
        "latency": ("statistic", "limit_latency_ms"), "call_quality": ("statistic",), "response": ("priority",),
        "update": ("priority",), "restore": ("priority",), "failover": ("within_s", "to"),
    }),
    "downtime": Table("what counts as downtime", {
        "starts_at": _word("when it begins to count", "failure", "detection", "ticket", "notice", required=True),
        "min_continuous_s": _whole("a shorter failure does not count", 0, 86_400, required=True),
        "rounding": _word("of each downtime", "none", "minute_down", "minute_nearest", "minute_up", "hour_up",
                          required=True),
        "denominator": _word("what availability is a share of", "month", "month_without_excluded"),
        "affects": _word("for an account: how the sites' downtime becomes one", "share", "any_site", "all_sites"),
        "clause": CLAUSE,
    }, required=True),
    "exclusion": Table("what does not count, each with its clause", {
        "kind": _word("what", "maintenance", "emergency_maintenance", "customer_equipment", "customer_lan",
                      "access_isp", "pstn_carrier", "upstream_cloud", "force_majeure", "suspension", "beta",
                      "capacity", required=True),
        "clause": _text("the clause of the signed paper", required=True),
        "notice_h": _number("announced at least so many hours before", 8784,
                            only=("maintenance", "emergency_maintenance")),
        "max_h_month": _number("at most so many hours a month are excluded", 744,
                               only=("maintenance", "emergency_maintenance")),
        "max_min_each": _number("a longer window is not excluded at all", 44_640,
                                only=("maintenance", "emergency_maintenance")),
        "days": _words("only on these days", *DAYS, only=("maintenance",)),
        "opens": _text("only from HH:MM", pattern=HOURS_OF_DAY, only=("maintenance",)),
        "closes": _text("only until HH:MM", pattern=HOURS_OF_DAY, only=("maintenance",)),
        "during": Key("periods that both sides agree on, each [from, until] with offset", (list,), items=list),
    }, many=True, by="kind"),
    "credit": Table("what a missed promise pays", {
        "commitment": _text("whose credit; may be left out where there is one commitment"),
        "kind": _word("how it is reckoned (bands where left out)", "bands", "flat", "per_step", "per_failure",
                      "pro_rata"),
        "base": _word("of which charge", "mrc", "affected_service", "usage", "user", required=True),
        "cap_percent": _number("at most so much of the base", 1000, required=True),
        "automatic": _flag("the provider grants it without a claim"),
        **PAYS,
        "step_percent": _number("a step of availability, loss or share", 100, only=("per_step",)),
        "step_mos": _number("a step of MOS", 5, only=("per_step",)),
        "step_ms": _number("a step of jitter or latency", 60_000, only=("per_step",)),
        "step_min": _number("a step of downtime, or of lateness", 44_640, only=("per_step",)),
        "begun": _flag("a begun step counts whole", only=("per_step",)),
        "counts": _word("steps of downtime: all of it, or what is beyond the target", "all", "beyond_target",
                        only=("per_step",)),
        "multiple": _number("times the share of the month that was down", 1000, only=("pro_rata",)),
        "clause": CLAUSE,
        "band": Key("its bands", (list,), only=("bands",)),
    }, many=True, loose=True, by="kind", needs={"bands": ("band",), "pro_rata": ("multiple",)}),
    "credit.band": Table("what is due where from <= achieved < below", {
        **{f"from_{u}": _number(f"lower edge, in {u}; it belongs to the band") for u in UNITS_OF_BANDS},
        **{f"below_{u}": _number(f"upper edge, in {u}; it does not") for u in UNITS_OF_BANDS},
        "percent": _number("percent of the base", 100), "days": _number("days' worth of the base", 366),
    }, many=True, inside="credit"),
    "cap": Table("over all credits of a site and month", {
        "percent": _number("at most so much of the base", 1000, required=True),
        "combine": _word("several credits: their sum, or the highest", "sum", "highest", required=True),
        "clause": CLAUSE,
    }),
    "claim": Table("how and by when to claim", {
        "deadline": _whole("how many units", 0, 730, required=True),
        "unit": _word("of what", "day", "business_day", "month_end", "billing_cycle", required=True),
        "basis": _word("counted from", "incident", "month_end", "resolution", required=True),
        "channel": _text("portal, address"), "subject": _text("the subject that they ask for"),
        "needs_ticket_within_h": _number("a ticket within so many hours of the failure, else nothing is due", 8784),
        "fields": _words("what a claim has to say"),
        "decision_days": _whole("days that the provider takes to decide", 0, 365), "clause": CLAUSE,
    }),
    "priority": Table("the clocks of a support priority", {
        "name": _text("its name", required=True),
        "definition": _text("what belongs to it"),
        "response_min": _whole("minutes to a first answer by a person", 1, 525_600, required=True),
        "update_min": _whole("minutes between updates", 1, 525_600),
        "restore_min": _whole("minutes to service restored", 1, 525_600),
        "hours": _word("in which hours the clocks run", "24x7", "business", required=True),
        "phone_required": _flag("has to be reported by phone"), "clause": CLAUSE,
    }, many=True),
    "compliance": Table("a duty that is shown by evidence", {
        "name": _text("its name", required=True),
        "clause": _text("the clause of the signed paper", required=True),
        "requirement": _text("what is required", required=True),
        "evidence": _words("what shows it", required=True),
        "owner": _text("who sees to it"),
        "reviewed": _date("the last review"),
        "review_months": _whole("months from one review to the next", 1, 120, required=True),
    }, many=True),
    "chronic": Table("what follows from missing a promise again and again", {
        "missed": _whole("windows missed", 1, 120, required=True),
        "within": _whole("of so many in a row", 1, 120, required=True),
        "right": _text("what it entitles to", required=True),
        "commitment": _text("of which commitment; may be left out where there is one"),
        "clause": CLAUSE,
    }),
}  # fmt: skip

DEFAULT_KINDS = {"credit": "bands"}
"""The kind of an entry that does not name it, for tables where it may be left out."""


def children(name: str) -> dict[str, str]:
    """Return the tables inside a table: key -> full name."""
    return {full.rpartition(".")[2]: full for full, table in TABLES.items() if table.inside == name}


def kind_of(name: str, entry: dict[str, object]) -> str:
    """Return which kind an entry of a table is, empty where it has none."""
    by = TABLES[name].by
    return str(entry.get(by, DEFAULT_KINDS.get(name, ""))) if by else ""
