"""Bringing changed plans to witnesses without a cable: who needs one, who can't take it so, and what each answered.

A plan is signed and kept as a publication before it is sent, as `plan publish` does; the next checkpoint stamps it.
What a plan only names (secrets, addresses of persons' devices, authorities) reaches a board with its configuration
over the serial line alone: a plan that names more than the one in force is not sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from linewitness import plan as plans
from linewitness.collect import push as wire_push
from linewitness.errors import CannotDo
from linewitness.evidence.publish import publish_plans
from linewitness.evidence.signed import Signer
from linewitness_wire import cose, record
from linewitness_wire import plan as wire

if TYPE_CHECKING:
    from linewitness.fleet import Fleet
    from linewitness.ledger import Enrolment, Ledger, StoredBatch

IN_FORCE = "in force"  # it has this plan already
NEEDS_FLASH = "needs flash"
NO_PLAN = bytes(32)  # in the batches of a witness that can't read its plan
CHANGED, REFUSED, UNANSWERED = wire_push.CHANGED, wire_push.REFUSED, wire_push.UNANSWERED

WHY_REFUSED = {
    "config": "it has a newer plan, or a firmware that does not know what this one asks",
    "flash": "it could not be written to its flash",
}


@dataclass(frozen=True, slots=True)
class Pushed:
    """One witness: what became of its plan (IN_FORCE, CHANGED, REFUSED, UNANSWERED, NEEDS_FLASH), in which batch, and
    in words why not and what to try. counter is that of the command, None where none was sent."""

    site: str
    witness: str
    status: str
    sha256: bytes
    seq: int | None = None
    counter: int | None = None
    why: str | None = None
    attempt: str | None = None


def push_plans(
    fleet: Fleet,
    book: Ledger,
    witnesses: Sequence[Enrolment],
    timeout_s: float,
    now_us: int,
    *,
    host: str | None = None,
    port: int | None = None,
    told: Callable[[Pushed], None] = lambda pushed: None,
) -> list[Pushed]:
    """Bring each witness to the plan that its site's file says now. Raises CannotDo, UsageProblem."""
    heads = {head.kid: head.seq for head in book.heads()}
    wanted = {e.kid: plans.current(book, fleet, fleet.site(e.site), e.witness, now_us) for e in witnesses}
    done: dict[bytes, Pushed] = {}
    orders = []
    for one in witnesses:
        known = _without_sending(fleet, book, one, heads.get(one.kid, 0), wanted[one.kid])
        if isinstance(known, Pushed):
            done[one.kid] = known
            told(known)
        else:
            orders.append(known)
    _publish(fleet, book, orders, now_us)

    def answered(order: wire_push.Order, outcome: wire_push.Outcome) -> None:
        done[order.kid] = _pushed(order, outcome)
        told(done[order.kid])

    wire_push.push(fleet, book.enrolments, orders, timeout_s, host=host, port=port, told=answered)
    return [done[one.kid] for one in witnesses]


def _without_sending(fleet: Fleet, book: Ledger, one: Enrolment, seq: int, octets: bytes) -> Pushed | wire_push.Order:
    """Return what can be said of a witness without asking it, or the order to send."""
    sha256 = hashlib.sha256(octets).digest()
    newest = book.batch(one.kid, seq)
    in_force = None if newest is None else _plan_of(newest)
    if in_force == NO_PLAN:  # its plan is spoilt; what it was told for that one it has still
        in_force = next((p for p in reversed(list(map(_plan_of, book.batches(kid=one.kid)))) if p != NO_PLAN), None)
    elif in_force == sha256:
        return Pushed(one.site, one.witness, IN_FORCE, sha256, seq)
    missing = sorted(_named(octets) - _told(book, one, in_force))
    if missing:
        why = f"the plan names what the board was not told: {', '.join(missing)}"
        attempt = f"linewitness witness flash {one.site} {one.witness} --port PORT"
        return Pushed(one.site, one.witness, NEEDS_FLASH, sha256, None, None, why, attempt)
    secrets = fleet.witness_secrets(one.site, one.witness)
    if secrets is None:
        where = f"{fleet.root / 'secrets.toml'}: witness: {one.site}/{one.witness}"
        raise CannotDo("no secret is shared with this witness", where, "linewitness witness flash makes one")
    return wire_push.Order(one.site, one.witness, one.kid, octets, sha256, seq, secrets.ack_secret)


def _plan_of(batch: StoredBatch) -> bytes:
    plan: bytes = record.decode_header(cose.split(batch.cose).payload).plan
    return plan


def _told(book: Ledger, one: Enrolment, in_force: bytes | None) -> set[str]:
    """Return what the board was told for the plan in force: what that plan names; nothing where it is not known."""
    for item in book.items("plan", name=f"{one.site}/{one.witness}"):
        if item.sha256 == in_force:
            return _named(item.content)
    return set()


def _named(octets: bytes) -> set[str]:
    """Return what a plan names and does not hold."""
    found = set()
    for target in wire.decode_plan(octets).targets:
        if target.host.startswith(wire.PRIVATE):
            found.add(f"the address behind {target.host}")
        if wire.OPTION_SECRET in target.options:
            found.add(f"secret:{target.options[wire.OPTION_SECRET]}")
        if wire.OPTION_AUTHORITY in target.options:
            found.add(f"authority {target.options[wire.OPTION_AUTHORITY]}")
    return found


def _publish(fleet: Fleet, book: Ledger, orders: Sequence[wire_push.Order], now_us: int) -> None:
    octets = {(order.site, order.witness): order.plan for order in orders}
    publish_plans(
        book,
        Signer(fleet.public_key, fleet.sign),
        [(order.site, order.witness, order.kid) for order in orders],
        lambda site, witness: octets[site, witness],
        plans.describe,
        now_us,
    )


def _pushed(order: wire_push.Order, outcome: wire_push.Outcome) -> Pushed:
    why = attempt = None
    if outcome.status == REFUSED:
        why = f"it refuses the plan ({outcome.fault})"
        why += f": {WHY_REFUSED[outcome.fault]}" if outcome.fault in WHY_REFUSED else ""
        attempt = "read its console, or linewitness witness flash"
    elif outcome.status == UNANSWERED and outcome.obeyed:
        why = "it took the command, and no batch under the new plan has come yet"
        attempt = "the same command again, later"
    elif outcome.status == UNANSWERED:
        why = "not heard; the command waits at the broker until it comes back"
        attempt = "is `linewitness collect` running? then the same command again, later"
    return Pushed(order.site, order.witness, outcome.status, order.sha256, outcome.seq, outcome.counter, why, attempt)
