"""The account of one month of one site: a contract, verdicts, tickets and posts for tests of its arithmetic."""

from __future__ import annotations

from linewitness.model import (
    SIDE_OF,
    Account,
    Bounds,
    OutagePost,
    Segment,
    SegmentSpan,
    Side,
    State,
    Ticket,
    TicketAct,
    TicketEvent,
    Verdict,
)
from linewitness.settle.account import SiteEvidence, account
from linewitness.settle.calendar import month_interval
from linewitness.settle.contract import Contract, load

MONTH = "2026-03"
ZONE = "Europe/Berlin"
START, END = month_interval(MONTH, ZONE)
SECOND, MINUTE, HOUR = 1_000_000, 60_000_000, 3_600_000_000

TEXT = """
[contract]
name = "acme"
provider = "acme"
time_zone = "Europe/Berlin"
effective_from = 2026-01-01
[[commitment]]
metric = "availability"
target_percent = 99.999
window = "month"
scope = "site"
[downtime]
starts_at = "STARTS"
min_continuous_s = MINIMUM
rounding = "ROUNDING"
[[exclusion]]
kind = "maintenance"
clause = "4.2"
notice_h = 48
[[credit]]
base = "mrc"
cap_percent = 20
[[credit.band]]
from_percent = 99
below_percent = 99.999
percent = 10
[[credit.band]]
from_percent = 0
below_percent = 99
percent = 50
"""


def contract(starts: str = "failure", minimum: int = 0, rounding: str = "none") -> Contract:
    text = TEXT.replace("STARTS", starts).replace("MINIMUM", str(minimum)).replace("ROUNDING", rounding)
    return load(text, "acme.toml")


def verdict(
    start_us: int, end_us: int, side: Side = Side.PROVIDER, slack_us: int = 0, claimable: bool = True
) -> Verdict:
    segment = next((s for s, owner in SIDE_OF.items() if owner is side and s is not Segment.WITNESS), None)
    return Verdict(
        "leeds", segment, side, Bounds(START + start_us - slack_us, START + start_us),
        Bounds(START + end_us, START + end_us + slack_us), 98, (), (), (), (), claimable and side is Side.PROVIDER,
    )  # fmt: skip


def span(state: State, start_us: int, end_us: int) -> SegmentSpan:
    return SegmentSpan("leeds", Segment.PROVIDER, state, Bounds(start_us, start_us), Bounds(end_us, end_us))


WHOLE = (span(State.UP, START, END),)


def reckon(
    *verdicts: Verdict,
    terms: Contract | None = None,
    spans: tuple[SegmentSpan, ...] = WHOLE,
    posts: tuple[OutagePost, ...] = (),
    tickets_us: tuple[int, ...] = (),
) -> Account:
    terms = terms or contract()
    tickets = tuple(ticket(at_us) for at_us in tickets_us)
    return account(terms, terms.commitments[0], SiteEvidence("leeds", verdicts, spans, tickets), MONTH, posts)


def ticket(opened_us: int, *later: tuple[int, TicketAct], priority: str = "P1") -> Ticket:
    events = [(opened_us, TicketAct.OPENED), *later]
    return Ticket("acme", f"T{opened_us}", (), priority, tuple(TicketEvent(at, act, "", at) for at, act in events))


def total(a: Account) -> int:
    return a.up_s + a.claimed_s + sum(s for _, s in a.excluded_s) + sum(s for _, s in a.not_claimable_s) + a.unknown_s


CLAIM = """
[claim]
deadline = 30
unit = "day"
basis = "month_end"
needs_ticket_within_h = 24
"""


def maintenance(start_us: int, until_us: int, notice_us: int = START - 72 * HOUR) -> OutagePost:
    return OutagePost(
        "acme", "m1", "Works", "maintenance", "completed", (), True, notice_us, None, None, None,
        START + start_us, START + until_us, None, END, "",
    )  # fmt: skip
