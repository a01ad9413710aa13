"""Settling a fleet: reads its ledger, sites, contracts and status archive, and hands all of it to settle.engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from linewitness.errors import CannotDo, Incomplete, Refused, UsageProblem, cannot_access
from linewitness.model import Finding, Settlement
from linewitness.outages import history
from linewitness.outages.archive import read_posts, snapshots
from linewitness.scratch import Scratch
from linewitness.settle import reopened
from linewitness.settle.calendar import iso
from linewitness.settle.contract import Contract, load
from linewitness.settle.engine import settle
from linewitness.settle.pages import Pages
from linewitness.settle.power import MonitorWord
from linewitness.settle.timeline import Batch, Head, SiteInfo, SiteRecord, read_site
from linewitness.tickets.events import tickets
from linewitness_wire import bodies, cose, plan, record
from linewitness_wire.errors import WireError

if TYPE_CHECKING:
    from linewitness.fleet import Fleet
    from linewitness.ledger import Ledger
    from linewitness.ledger.records import StoredBatch

MARGIN_US = 86_400_000_000  # a boot may have got its time, or have sent its batches, a day outside of the period


def settle_fleet(
    fleet: Fleet,
    from_us: int | None = None,
    to_us: int | None = None,
    sites: Iterable[str] = (),
    *,
    claim_unconfirmed: bool = False,
    record_at_us: int | None = None,
) -> Settlement:
    """Return the Settlement of [from_us, to_us), by default all that the ledger holds.

    sites: show these only; all sites are pooled all the same. What earlier runs said otherwise is among the findings;
    record_at_us: keep what this one says, recorded at that time. Raises Incomplete where nothing was measured.
    """
    known = {
        s.name: SiteInfo(s.name, s.isp, s.provider, s.carrier, s.network["kind"] == "ethernet", s.region, s.line_kbits)
        for s in fleet.sites()
    }
    for name in sites:
        if name not in known:
            raise UsageProblem(f"no site '{name}'", "--site", "linewitness site list")
    contracts = read_contracts(fleet)
    with Scratch(fleet.root) as shelf:
        with fleet.ledger() as ledger:
            period = _period(ledger, from_us, to_us)
            taken, pages = _Taken(), Pages(shelf)
            records = list(_records(fleet, ledger, known, period, taken, pages))
            archived = snapshots(ledger)
            posts = read_posts(ledger, archived)
            reported = tickets(ledger)
            monitors = sorted(read_monitors(ledger), key=repr)
        absent = history.absent_until(archived)
        settlement = settle(
            records, known, posts, contracts, period,
            claim_unconfirmed=claim_unconfirmed, tickets=reported, monitors=monitors, absent=absent,
        )  # fmt: skip
    told = (sorted(known.values(), key=lambda s: s.site), monitors)
    said_by_them = (posts, sorted(absent.items()))
    said = reopened.record_of(settlement, taken.inputs(contracts, said_by_them, reported, told, claim_unconfirmed))
    with fleet.ledger() as ledger:
        changes = _compared(ledger, said, record_at_us)
    settlement = replace(settlement, findings=(*settlement.findings, *history.findings(archived), *changes))
    return only(settlement, set(sites)) if sites else settlement


def _records(
    fleet: Fleet, ledger: Ledger, known: Container[str], period: tuple[int, int], taken: _Taken, pages: Pages
) -> Iterator[SiteRecord]:
    """Yield what the ledger says of each site, by name. Raises CannotDo for a site that has no file."""
    plans = dict(read_plans(ledger))
    for site in sorted({e.site for e in ledger.enrolments()}):
        if site not in known:
            raise CannotDo(f"batches of a site without a file: '{site}'", str(fleet.root / "sites"), "site add")
        yield read_record(ledger, site, plans, period, taken.through, pages)


class _Taken:
    """Counts and digests the batches that settling reads, in the order of their chains: late or not, it is the same."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._count = 0
        self._last_row = 0

    def through(self, stored: Iterable[StoredBatch]) -> Iterator[StoredBatch]:
        for s in stored:
            self._sha256.update(s.digest + (b"\0" if s.body is None else b"\1"))
            self._count += 1
            self._last_row = max(self._last_row, s.row)
            yield s

    def inputs(
        self, contracts: object, posts: object, tickets: object, sites: object, claim_unconfirmed: bool
    ) -> reopened.Inputs:
        return reopened.Inputs(
            self._count, self._sha256.hexdigest(), self._last_row, _sha256(contracts), _sha256(posts),
            _sha256(tickets), _sha256(sites), claim_unconfirmed,
        )  # fmt: skip


def _sha256(told: object) -> str:
    """Return a digest of values that all have one spelling: dataclasses of numbers, texts and tuples."""
    return hashlib.sha256(repr(told).encode()).hexdigest()


def _compared(ledger: Ledger, said: reopened.Record, record_at_us: int | None) -> list[Finding]:
    """Return all changes of verdicts on record for the period, this run's too, which is kept where that is wanted."""
    known: dict[str, reopened.Record] = {}
    for item in ledger.items("verdict"):
        try:
            known[item.sha256.hex()] = reopened.Record.decode(item.content, known)
        except ValueError as e:
            raise Refused(f"what settling said before can't be read: {e}", item.name, "a backup of the ledger") from e
    before = list(known.values())

    def late(old: reopened.Record) -> int:
        return sum(
            s.row > old.inputs.last_row
            for s in ledger.batches(from_us=old.start_us - MARGIN_US, to_us=old.end_us + MARGIN_US)
            if (utc_us := record.decode_header(cose.split(s.cose).payload).clock.utc_us) is None
            or old.start_us < utc_us <= old.end_us
        )

    now = reopened.compared(said, before, late)
    same = [old for old in before if (old.start_us, old.end_us, old.inputs.claim_unconfirmed) ==
            (said.start_us, said.end_us, said.inputs.claim_unconfirmed)]  # fmt: skip
    if record_at_us is not None and not (same and replace(same[-1], changes=()) == said):
        name = f"{iso(said.start_us)}/{iso(said.end_us)}"
        ledger.add_item("verdict", name, now.encode(known), record_at_us)
    return reopened.told([*before, now], (said.start_us, said.end_us))


def read_record(
    ledger: Ledger,
    site: str,
    plans: Mapping[bytes, plan.Plan],
    period: tuple[int, int],
    through: Callable[[Iterable[StoredBatch]], Iterable[StoredBatch]] = iter,
    pages: Pages | None = None,
) -> SiteRecord:
    """Return what a site's batches say of [start_us, end_us), read one by one: none is held. Raises Refused.

    through: what they pass on their way; pages: where samples are kept, by default in memory.
    """

    def stored() -> Iterator[StoredBatch]:
        return ledger.batches(site, from_us=period[0] - MARGIN_US, to_us=period[1] + MARGIN_US)

    batches = read_batches(through(stored()))
    return read_site(site, batches, plans, *period, read_heads(stored()), pages)


def read_heads(stored: Iterable[StoredBatch]) -> Iterator[Head]:
    """Yield what placing the ledger's batches in time takes. Raises Refused for one that can't be read."""
    for s in stored:
        try:
            header = record.decode_header(cose.split(s.cose).payload)
        except WireError as e:
            where = f"{s.site}/{s.witness} seq {s.seq}"
            raise Refused(f"a batch in the ledger can't be read: {e}", where, "linewitness verify") from e
        yield Head(
            s.witness, header._replace(previous=b"", plan=b"", firmware=b"", body=b"", anchor=None), s.received_us
        )


def read_batches(stored: Iterable[StoredBatch]) -> Iterator[Batch]:
    """Yield the ledger's batches decoded. Raises Refused for one that is not what its own hashes say."""
    for s in stored:
        where = f"{s.site}/{s.witness} seq {s.seq}"
        try:
            header = record.decode_header(cose.split(s.cose).payload)
            if s.body is not None and hashlib.sha256(s.body).digest() != header.body:
                raise Refused("the body is not the one that was signed", where, "linewitness verify")
            body = None if s.body is None else bodies.read(header, s.body)
        except WireError as e:
            raise Refused(f"a batch in the ledger can't be read: {e}", where, "linewitness verify") from e
        yield Batch(s.site, s.witness, header, body, s.received_us)


def read_plans(ledger: Ledger) -> Iterator[tuple[bytes, plan.Plan]]:
    """Yield (SHA-256, plan) of every plan that a witness got."""
    for item in ledger.items("plan"):
        try:
            yield item.sha256, plan.decode_plan(item.content)
        except WireError as e:
            raise Refused(f"a plan in the ledger can't be read: {e}", item.name, "linewitness plan publish") from e


def read_monitors(ledger: Ledger) -> Iterator[MonitorWord]:
    """Yield what power monitors said, as `power read` and `power watch` keep it; their silence says nothing."""
    for item in ledger.items("power"):
        try:
            said = json.loads(item.content)
            if said["reachable"]:
                word = (said["site"], said["monitor"], said["at_us"], said["mains"], said.get("started_us"))
                yield MonitorWord(*word)
        except (ValueError, KeyError, TypeError) as e:
            raise Refused(f"a power monitor's word can't be read: {e}", item.name, "a backup of the ledger") from e


def read_contracts(fleet: Fleet) -> list[Contract]:
    """Return the fleet's contracts, by file name. Raises Refused with key and line, and for two of one name."""
    result: list[Contract] = []
    for path in sorted(fleet.contracts.glob("*.toml")):
        try:
            result.append(load(path.read_text(encoding="utf-8"), str(path)))
        except OSError as e:
            raise cannot_access(e, path) from e
        except UnicodeDecodeError as e:
            raise Refused("not UTF-8 text", str(path), "save it as UTF-8") from e
    names = [c.name for c in result]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise Refused(f"two contracts are called '{twice[0]}'", str(fleet.contracts), "another contract.name in one")
    return result


def only(settlement: Settlement, sites: set[str]) -> Settlement:
    """Return the part of a settlement that is about some of its sites, or about all of them together."""
    shown = {*sites, "*"}
    kept = [i for i, v in enumerate(settlement.verdicts) if v.site in sites]
    places = {old: new for new, old in enumerate(kept)}
    return replace(
        settlement,
        sites=tuple(s for s in settlement.sites if s in sites),
        spans=tuple(s for s in settlement.spans if s.site in sites),
        verdicts=tuple(settlement.verdicts[i] for i in kept),
        breaches=tuple(replace(b, verdict=places[b.verdict]) for b in settlement.breaches if b.site in sites),
        accounts=tuple(a for a in settlement.accounts if a.site in shown),
        tallies=tuple(t for t in settlement.tallies if t.site in shown),
        dues=tuple(d for d in settlement.dues if d.site in shown),
        coverage=tuple(c for c in settlement.coverage if c.site in sites),
        findings=tuple(
            f for f in settlement.findings if f.subject.split("/")[0] in sites or f.kind.startswith(("post", "maint"))
        ),
    )


def _period(ledger: Ledger, from_us: int | None, to_us: int | None) -> tuple[int, int]:
    """Return the period asked for, its open ends set by what the ledger holds, in whole seconds."""
    first, last = from_us, to_us
    if first is None or last is None:
        span = _span(ledger)
        if span is None and any(head.batches for head in ledger.heads()):
            hint = "plan.time_servers in sites/*.toml: servers that the branch can reach; then flash again"
            raise Incomplete(
                "nothing can be placed in time: no witness has reached a time server", str(ledger.path), hint
            )
        if span is None:
            raise Incomplete("nothing measured yet: the ledger is empty", str(ledger.path), "linewitness collect")
        first = span[0] // 1_000_000 * 1_000_000 if first is None else first
        last = -(-span[1] // 1_000_000) * 1_000_000 if last is None else last
    if first >= last:
        raise UsageProblem(
            "the period is empty: --from is not before --to", "settle", "--from 2026-03-01 --to 2026-04-01"
        )
    return first, last


def _span(ledger: Ledger) -> tuple[int, int] | None:
    """Return the first start and the last end of all batches that know the time; None: there is none."""
    span: tuple[int, int] | None = None
    for s in ledger.batches():
        header = record.decode_header(cose.split(s.cose).payload)
        if header.clock.utc_us is not None:
            start_us, end_us = header.clock.utc_us - (header.end_us - header.start_us), header.clock.utc_us
            span = (start_us, end_us) if span is None else (min(span[0], start_us), max(span[1], end_us))
    return span
