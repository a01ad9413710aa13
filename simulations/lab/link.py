"""A link of the emulated network: pure model, no sockets, no clock, no threads.

`Link` is one direction. For each packet `due()` answers when it comes out (microseconds on the caller's own monotonic
clock), once, twice (duplicate) or never, and logs it: the log is the ground truth against which a probe is judged.
The virtual board and the TAP wire use the same class, so one impairment means the same in both.

Order of what happens to a packet:
  1. steps of the schedule whose time has come;      2. `down`: nothing passes;
  3. exact losses (`drop`, `every`);                 4. random losses (`ge`, then `loss_pct`);
  5. the queue: tail drop when the octets still to be sent plus this packet exceed `limit_bytes`, else serialisation at
     `rate_kbps`, charged from the first packet as a modem does;
  6. propagation `delay_ms` +- `jitter_ms`, not before the packet in front when `fifo`;
  7. duplication: the copy comes out with the original.
A packet that has been given its time of release keeps it, whatever is set afterwards.

Losses, jitter and duplication draw from three generators of the same seed, so a change of delay or jitter leaves the
losses as they were.
"""

import random
from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, NamedTuple

from simulations.lab.impairment import Impairment, LinkError, Step, parse_changes

PASSED = "passed"
DUPLICATED = "duplicated"
LOST = "lost"  # by chance: loss_pct or ge
DROPPED = "dropped"  # by an exact pattern: drop or every
TAIL = "tail"  # the queue was full
DOWN = "down"


class Passage(NamedTuple):
    """What the link did to packet `number` (0, 1, ... in order of arrival). `t_out_us` is None if it never came out."""

    number: int
    t_in_us: int
    t_out_us: int | None
    verdict: str
    size_octets: int
    key: Hashable


@dataclass(slots=True)
class Counters:
    """Packets by fate. packets_in = passed + lost + dropped + tail + down; packets_out = passed + duplicated."""

    packets_in: int = 0
    packets_out: int = 0
    octets_in: int = 0
    octets_out: int = 0
    passed: int = 0
    duplicated: int = 0
    lost: int = 0
    dropped: int = 0
    tail: int = 0
    down: int = 0

    def as_dict(self) -> dict[str, int]:
        """The counters by name, for JSON."""
        return asdict(self)


class Link:
    """One direction of a link, deterministic for a seed and a sequence of calls.

    `log_limit` bounds the log in packets; older passages are forgotten and asking for them raises.
    """

    def __init__(self, seed: int = 0, *, log_limit: int = 200_000) -> None:
        self.impairment = Impairment()
        self.counters = Counters()
        self._log: deque[Passage] = deque(maxlen=log_limit)
        self._steps: deque[Step] = deque()
        self._loss_draw = random.Random(f"{seed}/loss").random
        self._jitter_draw = random.Random(f"{seed}/jitter").random
        self._dup_draw = random.Random(f"{seed}/dup").random
        self._bad = False
        self._pattern_number = 0
        self._last_due_us = 0
        self._busy_until_ps = 0

    def set(self, **changes: Any) -> "Link":
        """Change the named fields of the impairment (see Impairment), keep the others. Returns the link itself."""
        self.impairment = self.impairment.changed(changes)
        if "drop" in changes or "every" in changes:
            self._pattern_number = 0
        if "ge" in changes:
            self._bad = False
        return self

    def set_text(self, text: str) -> "Link":
        """Change the link by the text form, e.g. `delay=10 loss=1`."""
        return self.set(**parse_changes(text))

    def schedule(self, steps: Iterable[Step], start_us: int) -> None:
        """Let `steps` happen at `start_us` plus their own time; they replace what is left of an earlier schedule."""
        ordered = sorted(steps, key=lambda step: step.at_us)
        self._steps = deque(Step(start_us + step.at_us, step.changes) for step in ordered)

    def advance(self, now_us: int) -> None:
        """Carry out the scheduled steps up to `now_us`. `due` does so itself; call it to read a quiet link."""
        while self._steps and self._steps[0].at_us <= now_us:
            self.set(**self._steps.popleft().changes)

    def due(
        self, size_octets: int, now_us: int, key: Hashable = None, *, exempt_from_loss: bool = False
    ) -> tuple[int, ...]:
        """Times of release in microseconds of a packet that enters at `now_us`; empty when it never comes out.

        `size_octets` is what the rate and the queue are charged. `exempt_from_loss` spares a packet steps 3 and 4 and
        keeps it out of the pattern's numbering: a wire uses it for ARP, whose loss would cost a second, not a packet.
        """
        self.advance(now_us)
        verdict = DOWN if self.impairment.down else None
        if verdict is None and not exempt_from_loss:
            verdict = self._loss()
        leaves_queue_us = None if verdict else self._serialise(size_octets, now_us)
        if leaves_queue_us is None:
            self._record(size_octets, now_us, None, verdict or TAIL, key)
            return ()
        due_us = self._propagate(leaves_queue_us)
        if self.impairment.dup_pct and self._dup_draw() * 100 < self.impairment.dup_pct:
            self._record(size_octets, now_us, due_us, DUPLICATED, key)
            return (due_us, due_us)
        self._record(size_octets, now_us, due_us, PASSED, key)
        return (due_us,)

    @property
    def log(self) -> list[Passage]:
        """The passages that are still kept, oldest first."""
        return list(self._log)

    def log_since(self, number: int) -> list[Passage]:
        """The passages of packets `number` and later. Raises LinkError when some of them are forgotten already."""
        oldest = self.counters.packets_in - len(self._log)
        if number < oldest:
            raise LinkError(f"passages {number} to {oldest - 1} are forgotten; read more often or raise log_limit")
        return list(islice(self._log, number - oldest, None))

    def _loss(self) -> str | None:
        """DROPPED, LOST or None. Each draw happens even if another rule hit, so patterns shift no random loss."""
        rules = self.impairment
        number = self._pattern_number
        self._pattern_number += 1
        lost = False
        if rules.ge:
            p, r, h, k = rules.ge
            self._bad = self._loss_draw() * 100 >= r if self._bad else self._loss_draw() * 100 < p
            lost = self._loss_draw() * 100 < (h if self._bad else k)
        if rules.loss_pct:
            lost = self._loss_draw() * 100 < rules.loss_pct or lost
        if number in rules.drop or (rules.every and number % rules.every[1] < rules.every[0]):
            return DROPPED
        return LOST if lost else None

    def _serialise(self, size_octets: int, now_us: int) -> int | None:
        """When the last bit has left the queue, to the nearest microsecond; None when the queue has no room.

        Kept in picoseconds so that the rounding of one packet's time never adds up over a stream.
        """
        rate_kbps = self.impairment.rate_kbps
        if not rate_kbps:
            return now_us
        now_ps = now_us * 1_000_000
        start_ps = max(self._busy_until_ps, now_ps)
        backlog_octets = (start_ps - now_ps) * rate_kbps / 8_000_000_000
        if self.impairment.limit_bytes and backlog_octets + size_octets > self.impairment.limit_bytes:
            return None
        self._busy_until_ps = start_ps + round(size_octets * 8_000_000_000 / rate_kbps)
        return (self._busy_until_ps + 500_000) // 1_000_000

    def _propagate(self, from_us: int) -> int:
        rules = self.impairment
        delay_us = rules.delay_ms * 1000
        if rules.jitter_ms:
            delay_us += (2 * self._jitter_draw() - 1) * rules.jitter_ms * 1000
        due_us = from_us + max(0, round(delay_us))
        if rules.fifo:
            due_us = max(due_us, self._last_due_us)
        self._last_due_us = max(due_us, self._last_due_us)
        return due_us

    def _record(self, size_octets: int, t_in_us: int, t_out_us: int | None, verdict: str, key: Hashable) -> None:
        counters = self.counters
        self._log.append(Passage(counters.packets_in, t_in_us, t_out_us, verdict, size_octets, key))
        counters.packets_in += 1
        counters.octets_in += size_octets
        copies = 0 if t_out_us is None else 2 if verdict == DUPLICATED else 1
        counters.packets_out += copies
        counters.octets_out += copies * size_octets
        if verdict == DUPLICATED:
            counters.passed += 1
        setattr(counters, verdict, getattr(counters, verdict) + 1)


def reordered(passages: Iterable[Passage]) -> int:
    """How many packets came out after a later one had come out (RFC 4737 section 3: type-P-reordered)."""
    came_out = sorted((p.t_out_us, p.number) for p in passages if p.t_out_us is not None)
    newest = -1
    count = 0
    for _, number in came_out:
        if number < newest:
            count += 1
        newest = max(newest, number)
    return count
