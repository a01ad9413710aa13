"""What settling said before, and what it says now of the same time: nothing is ever changed silently.

A Record is what one run said, small enough to keep for good: method, period, digests of all that it was reckoned from,
verdicts and accounts. It goes into the ledger as evidence. A later run is compared with the newest record of each
instant; what differs is a change, told with its cause, and stays on record in every settlement after.

What a record's own period cut off is compared up to a minute before its end: later than that was not settled yet.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from linewitness.model import Finding, Segment, Settlement, Side
from linewitness.plain import build, plain
from linewitness.settle.calendar import iso
from linewitness.settle.intervals import Interval, intersect, subtract, union

FORMAT = 1
OPEN_US = 60_000_000
REOPENED = "reopened"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a settlement was reckoned from, in digests (SHA-256, hex). last_row: the newest batch that was there."""

    batches: int
    batches_sha256: str
    last_row: int
    contracts_sha256: str
    posts_sha256: str
    tickets_sha256: str
    sites_sha256: str
    claim_unconfirmed: bool


@dataclass(frozen=True, slots=True)
class Said:
    """One verdict: whose side, and the bounds of its ends, UTC us."""

    site: str
    side: Side
    segment: Segment | None
    start_us: tuple[int, int]
    end_us: tuple[int, int]
    claimable: bool

    @property
    def hull(self) -> Interval:
        return (self.start_us[0], self.end_us[1])

    def words(self) -> str:
        what = f"{self.side}{'' if self.segment is None else f' ({self.segment})'}"
        claim = ", claimable" if self.claimable else ""
        return f"{what} {iso(self.start_us[0])} to {iso(self.end_us[1])}{claim}"


@dataclass(frozen=True, slots=True)
class Reckoned:
    """One account's outcome."""

    site: str
    contract: str
    commitment: str
    month: str
    claimed_s: int
    downtime_s: int
    standing: str
    credit_percent_milli: int


@dataclass(frozen=True, slots=True)
class Record:
    """What one run of settling said of [start_us, end_us). changes: what it said otherwise than the runs before."""

    method: str
    start_us: int
    end_us: int
    inputs: Inputs
    verdicts: tuple[Said, ...]
    accounts: tuple[Reckoned, ...]
    changes: tuple[Finding, ...] = ()

    def encode(self, known: Mapping[str, Record] | None = None) -> bytes:
        """Return the record as JSON: sorted keys, one spelling.

        known: earlier records by the SHA-256 of their octets. Where the newest of them that says the same of verdicts
        and accounts is there, its digest stands for them: a run that brings no news is small.
        """
        same = [
            digest for digest, old in (known or {}).items()
            if (old.verdicts, old.accounts) == (self.verdicts, self.accounts) and old.verdicts
        ]  # fmt: skip
        brief = replace(self, verdicts=(), accounts=()) if same else self
        data = {"format": FORMAT, "same_as": same[-1] if same else None, **plain(brief)}
        return (json.dumps(data, ensure_ascii=False, sort_keys=True) + "\n").encode()

    @classmethod
    def decode(cls, octets: bytes, known: Mapping[str, Record] | None = None) -> Record:
        """Return the record that encode() wrote. Raises ValueError for anything else."""
        data = json.loads(octets)
        if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
            raise ValueError(f"record of a settlement: wanted format {FORMAT}")
        same_as = data.pop("same_as", None)
        brief = build(cls, data)
        if same_as is None:
            return brief
        if same_as not in (known or {}):
            raise ValueError(f"record of a settlement: it says the same as {same_as}, which is not there")
        old = (known or {})[same_as]
        return replace(brief, verdicts=old.verdicts, accounts=old.accounts)


def record_of(settlement: Settlement, inputs: Inputs) -> Record:
    """Return what a settlement says, ready to be kept; its changes are not known yet."""
    verdicts = (
        Said(v.site, v.side, v.segment, (v.start.earliest_us, v.start.latest_us),
             (v.end.earliest_us, v.end.latest_us), v.claimable)
        for v in settlement.verdicts
    )  # fmt: skip
    accounts = (
        Reckoned(a.site, a.contract, a.commitment, a.month, a.claimed_s, a.downtime_s, a.standing,
                 a.credit_percent_milli)
        for a in settlement.accounts
    )  # fmt: skip
    return Record(settlement.method, settlement.start_us, settlement.end_us, inputs, tuple(verdicts), tuple(accounts))


def compared(now: Record, before: Sequence[Record], late: Callable[[Record], int]) -> Record:
    """Return the record with what it says otherwise than those before it, oldest first, of the same choices.

    late: how many batches of an earlier record's period came after it.
    """
    left, changes = [(now.start_us, now.end_us)], list[Finding]()
    for old in reversed([r for r in before if r.inputs.claim_unconfirmed == now.inputs.claim_unconfirmed]):
        region = intersect(left, [(old.start_us, old.end_us)])
        left = subtract(left, region)
        differences = [d for part in region for d in _verdicts(old, now, part)]
        if (old.start_us, old.end_us) == (now.start_us, now.end_us):
            differences += _accounts(old, now)
        if differences:
            because = _cause(old, now, late(old))
            changes += [Finding(REOPENED, site, at, f"{text}, because of {because}") for site, at, text in differences]
    return replace(now, changes=tuple(sorted(changes, key=lambda f: (f.subject, f.at_us or 0, f.text))))


def told(records: Iterable[Record], period: Interval) -> list[Finding]:
    """Return all changes on record that fall into a period, each once, by time."""
    found = {f for r in records for f in r.changes if f.at_us is not None and period[0] <= f.at_us < period[1]}
    return sorted(found, key=lambda f: (f.subject, f.at_us or 0, f.text))


def _verdicts(old: Record, now: Record, region: Interval) -> list[tuple[str, int, str]]:
    """Return (site, instant, was and is) where the verdicts of a region differ."""
    if region[1] == old.end_us < now.end_us:
        region = (region[0], max(region[0], region[1] - OPEN_US))
    was, is_ = _within(old.verdicts, region), _within(now.verdicts, region)
    result = []
    for site in sorted({v.site for v in (*was, *is_)}):
        before, after = ([v for v in said if v.site == site] for said in (was, is_))
        for group in union((v.hull[0], v.hull[1] + 1) for v in (*before, *after)):
            a = [v for v in before if group[0] <= v.hull[0] < group[1]]
            b = [v for v in after if group[0] <= v.hull[0] < group[1]]
            if sorted(a, key=str) != sorted(b, key=str):
                result.append((site, group[0], f"was {_words(a)}, is {_words(b)}"))
    return result


def _within(verdicts: Iterable[Said], region: Interval) -> list[Said]:
    """Return the verdicts that reach into a region, their bounds cut to it."""
    start, end = region

    def cut(bounds: tuple[int, int]) -> tuple[int, int]:
        return (min(max(bounds[0], start), end), min(max(bounds[1], start), end))

    return [
        replace(v, start_us=cut(v.start_us), end_us=cut(v.end_us))
        for v in verdicts if v.hull[0] < end and start < v.hull[1]
    ]  # fmt: skip


def _words(said: Sequence[Said]) -> str:
    return " and ".join(v.words() for v in sorted(said, key=str)) or "no failure"


def _accounts(old: Record, now: Record) -> list[tuple[str, int, str]]:
    """Return (site, instant, was and is) of accounts whose outcome differs, for two records of one period."""
    before = {(a.site, a.contract, a.commitment, a.month): a for a in old.accounts}
    after = {(a.site, a.contract, a.commitment, a.month): a for a in now.accounts}
    result = []
    for key in sorted(before.keys() | after.keys()):
        a, b = before.get(key), after.get(key)
        if a != b:
            name = f"{key[1]}, {key[2]}, {key[3]}"
            result.append((key[0], now.start_us, f"{name}: was {_outcome(a)}, is {_outcome(b)}"))
    return result


def _outcome(a: Reckoned | None) -> str:
    if a is None:
        return "not reckoned"
    return f"{a.standing}, {a.claimed_s} s claimed, credit {a.credit_percent_milli / 1000:g} %"


def _cause(old: Record, now: Record, late: int) -> str:
    causes = []
    if late:
        causes.append(f"{late} late {'batch' if late == 1 else 'batches'}")
    if old.method != now.method:
        causes.append(f"the method, {old.method} then and {now.method} now")
    for name in ("contracts", "posts", "tickets", "sites"):
        if getattr(old.inputs, f"{name}_sha256") != getattr(now.inputs, f"{name}_sha256"):
            causes.append(_NAMES[name])
    return ", ".join(causes) or "the period, which was cut otherwise"


_NAMES = {
    "contracts": "changed contracts", "posts": "what the provider has posted since", "tickets": "tickets since",
    "sites": "what the host was told of the sites since",
}  # fmt: skip
