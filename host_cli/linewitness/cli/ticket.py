"""`linewitness ticket`: open, answer, update, restore, close, reopen, claim, import, list, show, draft."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from linewitness.cli import command, table
from linewitness.cli.settle import Instant
from linewitness.errors import CannotDo, UsageProblem, cannot_access

if TYPE_CHECKING:
    from linewitness.fleet import Fleet
    from linewitness.model import Ticket, TicketAct


@click.group()
def ticket() -> None:
    """What was reported to a provider, what they answered, and when: kept in the ledger, never edited."""


def _now_us() -> int:
    return time.time_ns() // 1000


def _at(us: int | None) -> str | None:
    from linewitness.settle.calendar import iso

    return None if us is None else iso(us)[:19] + "Z"


def _provider(fleet: Fleet, name: str) -> str:
    known = sorted({s.provider for s in fleet.sites()} | {s.isp for s in fleet.sites()})
    if name not in known:
        raise UsageProblem(f"no site has the provider or ISP '{name}'", "--provider", ", ".join(known) or "site add")
    return name


def _check_sites(fleet: Fleet, sites: tuple[str, ...], provider: str) -> None:
    known = {s.name: (s.provider, s.isp) for s in fleet.sites()}
    for site in sites:
        if site not in known:
            raise UsageProblem(f"no site '{site}'", "--site", "linewitness site list")
        if provider not in known[site]:
            raise UsageProblem(f"site '{site}' has another provider", "--site", " or ".join(known[site]))


def _check_priority(fleet: Fleet, provider: str, priority: str) -> None:
    from linewitness.settling import read_contracts

    known = [p.name for c in read_contracts(fleet) if c.provider == provider for p in c.priorities]
    if priority and priority not in known:
        raise UsageProblem(f"no priority '{priority}'", "--priority", ", ".join(known) or "the contract has none")


def _render(value: dict[str, Any]) -> str:
    head = f"ticket {value['number']} with {value['provider']}: {value['state']}, opened {value['opened']}"
    about = f"about {', '.join(value['sites']) or 'all sites'}"
    lines = [f"{head}; {about}" + (f"; priority {value['priority']}" if value["priority"] else "")]
    rows = [(e["number"], e["at"], e["act"], "corrected" if e["replaced"] else "", e["text"]) for e in value["events"]]
    lines += ["", table(("", "at", "", "", "text"), rows)]
    if value["clocks"]:
        clocks = [(c["name"], c["due"], c["stopped"], "missed" if c["missed"] else "runs" if c["stopped"] is None else
                   "kept") for c in value["clocks"]]  # fmt: skip
        lines += ["", table(("clock", "runs out", "stopped", ""), clocks)]
    elif value["priority"]:
        lines += ["", "no contract has this priority: no clocks"]
    return "\n".join(lines)


def _shown(fleet: Fleet, one: Ticket) -> dict[str, object]:
    from linewitness.settling import read_contracts
    from linewitness.tickets.clocks import clocks, priority_of
    from linewitness.tickets.events import history

    with fleet.ledger() as book:
        recorded = history(book, one.provider, one.number)
    priority = priority_of(one, read_contracts(fleet))
    running = [] if priority is None else clocks(one, priority, _now_us())
    return {
        "provider": one.provider,
        "number": one.number,
        "sites": one.sites,
        "priority": one.priority,
        "state": "open" if one.ended_us is None else f"ended {_at(one.ended_us)}",
        "opened": _at(one.opened_us),
        "ended": _at(one.ended_us),
        "events": [
            {"number": r.number, "at": _at(r.entry.at_us), "act": r.entry.act, "text": r.entry.text,
             "recorded": _at(r.recorded_us), "replaced": r.replaced, "corrects": r.entry.corrects}
            for r in recorded
        ],
        "clocks": [
            {"name": c.name, "due": _at(c.due_us), "stopped": _at(c.stopped_us), "missed": c.missed} for c in running
        ],
    }  # fmt: skip


_number = click.argument("number")
_when = click.option("--at", "at_us", type=Instant(), help="When it happened (default: now).")
_text = click.option("--text", default="", help="What was said or written.")
_corrects = click.option(
    "--corrects", type=click.IntRange(1), help="It stands for the event with this number, which stays in the ledger."
)
_of = click.option("--provider", help="Where two of them use the same number.")


@command(ticket, name="open", render=_render)
@_number
@click.option("--provider", required=True, help="The provider, or the ISP, as in the sites' files.")
@click.option("--site", "sites", multiple=True, help="What it is about; repeatable (default: all sites).")
@click.option("--priority", default="", help="As the contract names it: its clocks run from now.")
@_when
@_text
@_corrects
def open_(
    fleet: Fleet,
    number: str,
    provider: str,
    sites: tuple[str, ...],
    priority: str,
    at_us: int | None,
    text: str,
    corrects: int | None,
) -> object:
    """Record that a ticket was opened, under the number that they gave.

    Example: linewitness ticket open INC-1234 --provider acme --site leeds --priority P1
    """
    from linewitness.model import TicketAct
    from linewitness.tickets.events import Entry, record

    provider = _provider(fleet, provider)
    _check_sites(fleet, sites, provider)
    _check_priority(fleet, provider, priority)
    now_us = _now_us()
    when_us = now_us if at_us is None else at_us
    entry = Entry(TicketAct.OPENED, when_us, text, tuple(sorted(set(sites))), priority, corrects)
    with fleet.ledger() as book:
        one = record(book, provider, number, entry, now_us)
    return _shown(fleet, one)


def _happened(
    fleet: Fleet, act: TicketAct, number: str, provider: str | None, at_us: int | None, text: str, corrects: int | None
) -> object:
    from linewitness.tickets.events import Entry, find, record

    now_us = _now_us()
    entry = Entry(act, now_us if at_us is None else at_us, text, (), "", corrects)
    with fleet.ledger() as book:
        one = record(book, find(book, number, provider).provider, number, entry, now_us)
    return _shown(fleet, one)


def _verb(name: str, act: str, says: str, example: str) -> None:
    """Add the command of one act."""

    def run(
        fleet: Fleet, number: str, provider: str | None, at_us: int | None, text: str, corrects: int | None
    ) -> object:
        from linewitness.model import TicketAct

        return _happened(fleet, TicketAct(act), number, provider, at_us, text, corrects)

    run.__doc__ = f"{says}\n\n    Example: linewitness ticket {name} INC-1234 {example}"
    function: Callable[..., object] = run
    for option in (_corrects, _text, _when, _of, _number):
        function = option(function)
    command(ticket, name=name, render=_render)(function)


_verb("answer", "answered", "Record their first answer by a person; an automatic receipt is none.",
      '--text "we see it"')  # fmt: skip
_verb("update", "updated", "Record a word of theirs on how it goes.", '--text "a card is replaced"')
_verb("restore", "restored", "Record that they say the service is restored.", "--at 2026-03-01T10:37:00Z")
_verb("close", "closed", "Record that the ticket was closed.", '--text "root cause: a card"')
_verb("reopen", "reopened", "Record that the ticket was opened again: the clocks begin anew.", '--text "fails again"')


class Money(click.ParamType):
    """An amount with at most two decimals; the value is hundredths."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            hundredths = Decimal(value) * 100
        except InvalidOperation:
            hundredths = Decimal("0.5")
        if not hundredths.is_finite() or hundredths != int(hundredths) or hundredths < 0:
            self.fail(f"wanted an amount such as 120.50, got {value!r}", param, ctx)
        return int(hundredths)


@command(ticket, render=lambda e: f"kept: the claim for {e.month} under {e.contract} was {e.act} at {_at(e.at_us)}")
@click.argument("act", type=click.Choice(["filed", "granted", "refused"]))
@click.option("--contract", required=True, help="Its name, as in its file.")
@click.option("--month", required=True, metavar="YYYY-MM", help="The month that is claimed.")
@click.option("--reference", default="", help="Their number of the claim.")
@click.option("--amount", "amount_minor", type=Money(), help="Asked for or granted, in the contract's currency.")
@_when
@_text
def claim(
    fleet: Fleet,
    act: str,
    contract: str,
    month: str,
    reference: str,
    amount_minor: int | None,
    at_us: int | None,
    text: str,
) -> object:
    """Record that the credit for a month was claimed, granted or refused: `due` then reminds no more of it.

    Example: linewitness ticket claim filed --contract acme-voice --month 2026-03 --reference C-17
    """
    from linewitness.settle.calendar import month_interval
    from linewitness.settling import read_contracts
    from linewitness.tickets.claims import ClaimAct, ClaimEvent, claims, record

    known = [c.name for c in read_contracts(fleet)]
    if contract not in known:
        raise UsageProblem(f"no contract '{contract}'", "--contract", ", ".join(known) or "contracts/NAME.toml")
    try:
        month_interval(month, "UTC")
    except ValueError as e:
        raise UsageProblem(f"no month: {month!r}", "--month", "2026-03") from e
    now_us = _now_us()
    event = ClaimEvent(
        contract, month, ClaimAct(act), now_us if at_us is None else at_us, reference, text, amount_minor
    )
    with fleet.ledger() as book:
        if act != "filed" and (contract, month) not in claims(book):
            raise CannotDo(f"no claim for {month} was filed under {contract}", "ledger", "ticket claim filed")
        record(book, event, now_us)
    return event


@command(ticket, name="import", render=lambda v: f"{v['events']} events of {v['tickets']} tickets taken in")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, readable=False))
@click.option("--provider", required=True, help="The provider, or the ISP, as in the sites' files.")
def import_(fleet: Fleet, file: Path, provider: str) -> object:
    """Take in another system's tickets from CSV: number, act, at, and text, sites, priority. All of it or nothing.

    \b
    Lines that are there already are not taken in again.
    Example: linewitness ticket import tickets.csv --provider acme
    """
    from linewitness.tickets import events, sheet

    provider = _provider(fleet, provider)
    try:
        octets = file.read_bytes()
    except OSError as e:
        raise cannot_access(e, file) from e
    entries = sheet.parse(octets, str(file))
    now_us = _now_us()
    with fleet.ledger() as book:
        known = {number: events.history(book, provider, number) for number, _ in entries}
        there = {(number, r.entry) for number, recorded in known.items() for r in recorded}
        new = [(number, entry) for number, entry in dict.fromkeys(entries) if (number, entry) not in there]
        for number, entry in new:  # all of them before any is stored
            events.check_number(number)
            _check_sites(fleet, entry.sites, provider)
            _check_priority(fleet, provider, entry.priority)
            events.check_entry(known[number], number, entry, now_us)
            known[number] = [*known[number], events.Recorded(len(known[number]) + 1, entry, now_us, False)]
        for number, entry in new:
            events.record(book, provider, number, entry, now_us)
    return {"events": len(new), "tickets": len({number for number, _ in new})}


def _list(rows: list[dict[str, Any]]) -> str:
    headings = ("number", "provider", "priority", "sites", "opened", "ended", "missed clocks")
    return table(headings, [
        (r["number"], r["provider"], r["priority"] or None, ", ".join(r["sites"]) or "all", r["opened"], r["ended"],
         ", ".join(r["missed"]) or None)
        for r in rows
    ])  # fmt: skip


@command(ticket, name="list", render=_list)
@click.option("--open", "only_open", is_flag=True, help="Those that are not ended.")
def list_(fleet: Fleet, only_open: bool) -> object:
    """List the tickets, with the clocks that were missed."""
    from linewitness.settling import read_contracts
    from linewitness.tickets.clocks import clocks, priority_of
    from linewitness.tickets.events import tickets

    contracts = read_contracts(fleet)
    with fleet.ledger() as book:
        known = [t for t in tickets(book) if not only_open or t.ended_us is None]
    rows = []
    for one in known:
        priority = priority_of(one, contracts)
        missed = [] if priority is None else [c.name for c in clocks(one, priority, _now_us()) if c.missed]
        rows.append({
            "number": one.number, "provider": one.provider, "priority": one.priority, "sites": one.sites,
            "opened": _at(one.opened_us), "ended": _at(one.ended_us), "missed": list(dict.fromkeys(missed)),
        })  # fmt: skip
    return rows


@command(ticket, render=_render)
@_number
@_of
def show(fleet: Fleet, number: str, provider: str | None) -> object:
    """Show a ticket: all that was recorded, corrected entries too, and its clocks.

    Example: linewitness ticket show INC-1234
    """
    from linewitness.tickets.events import find

    with fleet.ledger() as book:
        one = find(book, number, provider)
    return _shown(fleet, one)


@command(ticket, render=lambda v: f"Subject: {v['subject']}\n\n{v['body']}".rstrip("\n"))
@click.option("--site", help="The newest failure of this site (default: of any).")
@click.option("--from", "from_us", type=Instant(), help="Look from here on (default: a day back).")
@click.option("--settlement", type=click.Path(path_type=Path, dir_okay=False, readable=False), help="`settle --out`.")
def draft(fleet: Fleet, site: str | None, from_us: int | None, settlement: Path | None) -> object:
    """Write the ticket to send now, for the failure that is open, else for the newest one.

    \b
    It says what was measured, since when, whose side it is, what excludes the others,
    and what is asked. Failures on the customer's own side are no ticket.
    Example: linewitness ticket draft --site leeds
    """
    from linewitness.model import Side
    from linewitness.settling import read_contracts
    from linewitness.tickets.clocks import in_force
    from linewitness.tickets.draft import draft as write
    from linewitness.tickets.incidents import incidents
    from linewitness.tickets.recent import recent

    sites = {s.name: s for s in fleet.sites()}
    if site is not None and site not in sites:
        raise UsageProblem(f"no site '{site}'", "--site", "linewitness site list")
    settled = recent(fleet, _now_us(), from_us, settlement)
    provider_of = {s.name: s.provider for s in sites.values()}
    isp_of = {s.name: s.isp for s in sites.values()}
    found = [] if settled is None else incidents(settled, provider_of, isp_of)
    found = [i for i in found if i.side is not Side.CUSTOMER and (site is None or site in i.sites)]
    if not found:
        raise CannotDo("nothing to report: no failure beyond the own side", "ledger", "linewitness settle, --from")
    one = max(found, key=lambda i: (i.open, i.start.latest_us))
    lead = one.lead.site
    provider = isp_of.get(lead, "") if one.side is Side.ISP else provider_of.get(lead, "")
    begun_us = one.start.earliest_us
    contracts = [c for c in read_contracts(fleet) if c.provider == provider and in_force(c, begun_us)]
    made = write(one, provider, contracts, fleet.fingerprint, fleet.contact)
    return {
        "provider": made.provider, "sites": made.sites, "side": one.side, "open": one.open, "by": _at(made.by_us),
        "subject": made.subject, "body": made.body,
    }  # fmt: skip
