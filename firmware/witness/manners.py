"""How often the provider may be asked: this witness's share of what one public address allows itself.

Targets that carry OPTION_GAP_MS form a group by segment and role. Between two requests of a group lies at least the
gap (a second times the witnesses of the site: the plan's compiler divides what all of them may). Once nothing of a
group has been answered for PATIENCE_US, it is ten times that; the same holds for a single target among others that
answer. What a server asks for in words (Retry-After, 403, 429, 503; see the probes) holds for all targets of its group
on that host but ICMP, by which it says nothing.

A round that was void says nothing: it neither ends a failure nor is one. Call-quality windows and test calls are no
requests: they have limits of their own. Requests that have to wait for the end of a window take their turn after it.
"""

import asyncio

from linewitness_wire import codes, plan

PATIENCE_US = 60_000_000
PATIENCE_ROUNDS = 3
SLOWER = 10
BESIDE_WINDOWS = (codes.METHOD_ICMP, codes.METHOD_TCP)  # these are sent during a window, too


class _Failure:
    """How long a target, or all of a group, has not been answered."""

    def __init__(self) -> None:
        self._rounds = 0
        self._since_us = 0

    def note(self, fate: int, now_us: int) -> None:
        if fate == codes.FATE_ANSWERED:
            self._rounds = 0
        elif fate != codes.FATE_VOID:
            if not self._rounds:
                self._since_us = now_us
            self._rounds += 1

    def lasts(self, now_us: int) -> bool:
        """Whether patience is over."""
        return self._rounds >= PATIENCE_ROUNDS and now_us - self._since_us >= PATIENCE_US


class _Group:
    def __init__(self, gap_us: int) -> None:
        self.gap_us = gap_us
        self.next_us = 0
        self.failure = _Failure()
        self.lock = asyncio.Lock()


class Manners:
    """The requests of a plan's targets; clock as everywhere."""

    def __init__(self, clock, the_plan) -> None:
        self._clock = clock
        self._targets = the_plan.targets
        self._groups: "dict[tuple[int, int], _Group]" = {}
        self._failures: "dict[int, _Failure]" = {}  # by target of a group
        self._next_us: "dict[int, int]" = {}
        for i in range(len(self._targets)):
            gap_ms = self._targets[i].options.get(plan.OPTION_GAP_MS)
            if gap_ms:
                key = self._key(i)
                group = self._groups.setdefault(key, _Group(gap_ms * 1000))
                group.gap_us = max(group.gap_us, gap_ms * 1000)
                self._failures[i] = _Failure()

    def _key(self, index: int) -> "tuple[int, int]":
        target = self._targets[index]
        return target.segment, target.role

    def _group(self, index: int) -> "_Group | None":
        return self._groups.get(self._key(index)) if index in self._failures else None

    async def turn(self, index: int, over) -> None:
        """Return when a target may be sent its next request, which counts as sent now. over(): no window runs."""
        group = self._group(index)
        if group is None:
            return
        while True:
            await self._clock.sleep_until(self._next_us.get(index, 0))
            async with group.lock:
                await self._clock.sleep_until(group.next_us)
                if self._targets[index].method not in BESIDE_WINDOWS:
                    await over()
                now_us = self._clock.now_us()
                if now_us < self._next_us.get(index, 0):
                    continue  # asked to wait while it stood in the queue
                self._take(index, group, now_us)
                return

    def _take(self, index: int, group: _Group, now_us: int) -> None:
        slow_us = group.gap_us * SLOWER
        group.next_us = now_us + (slow_us if group.failure.lasts(now_us) else group.gap_us)
        self._next_us[index] = now_us + (slow_us if self._failures[index].lasts(now_us) else group.gap_us)

    def note(self, index: int, fate: int, retry_at_us: int) -> None:
        """Take what became of a request: codes.FATE_*, and until when the server wants to be left alone, else 0."""
        group = self._group(index)
        if group is None:
            return
        now_us = self._clock.now_us()
        group.failure.note(fate, now_us)
        self._failures[index].note(fate, now_us)
        if fate == codes.FATE_ANSWERED:
            # The failure is over: whoever waits for the long gap need not.
            group.next_us = min(group.next_us, now_us + group.gap_us)
        if retry_at_us > now_us:
            self._leave_alone(index, retry_at_us)

    def _leave_alone(self, index: int, until_us: int) -> None:
        host, key = self._targets[index].host, self._key(index)
        for i in self._failures:
            target = self._targets[i]
            if target.host == host and self._key(i) == key and target.method != codes.METHOD_ICMP:
                self._next_us[i] = max(self._next_us.get(i, 0), until_us)
