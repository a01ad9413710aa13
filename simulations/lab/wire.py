"""The access link as a process: two TAP devices in two network namespaces, and between them a Link each way.

    python -m simulations.lab.wire NS:IF NS:IF --control PATH [--seed N] [DIR:WORD ...]

`ab` is from the first device to the second, `ba` back, `both` both; a WORD is of the impairment's text form:
`both:delay=10 both:jitter=2.5 ab:rate=1000 ab:limit=64000`. Prints `ready` once packets pass.

Sleeps in plain select: asyncio's selector rounds timeouts up to a millisecond. Times are CLOCK_MONOTONIC microseconds,
which every process of the machine shares, so a probe's stamps and the wire's log can be laid side by side. Besides the
planned release (`Passage.t_out_us`) the wire keeps when the frame was written: the machine itself is often late.

The control socket (unix datagram, one JSON object each way) takes
    {"do": "set", "words": "both:down=1"}        {"do": "schedule", "direction": "ab", "steps": "at 12 s down=1"}
    {"do": "counters"}                           {"do": "log", "direction": "ab", "since": 0}
    {"do": "stop"}
and answers {"ok": ...} or {"error": TEXT}. A log answer holds at most LOG_PAGE rows
[number, t_in_us, t_out_us | null, verdict, size_octets, key, written_us | null]; ask again from the next number.
"""

import argparse
import ctypes
import fcntl
import gc
import heapq
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from simulations.lab.frame import HEAD_OCTETS, describe, is_arp
from simulations.lab.impairment import LinkError, parse_changes, parse_schedule
from simulations.lab.link import Link, Passage

LOG_PAGE = 500
LOG_LIMIT = 200_000  # passages kept each way
DIRECTIONS = ("ab", "ba")

_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_PR_SET_TIMERSLACK = 29
_TUNSETIFF = 0x400454CA
_IFF_TAP_NO_PI = 0x0002 | 0x1000
_FRAMES_A_TURN = 32  # so that a flood from one side cannot keep the due frames of the other waiting


class WireError(RuntimeError):
    """The wire cannot be strung; the message says what, where and what to try."""


class Stop(Exception):
    """Asked to end, by the control socket or a signal."""


def now_us() -> int:
    """CLOCK_MONOTONIC in microseconds."""
    return time.monotonic_ns() // 1000


def open_tap(place: str) -> int:
    """A non-blocking descriptor of the TAP device `NAMESPACE:INTERFACE`. The caller stays in its own namespace."""
    namespace, colon, interface = place.partition(":")
    if not colon or not namespace or not 0 < len(interface.encode()) < 16:
        raise WireError(f"bad device {place!r}; try NAMESPACE:INTERFACE with at most 15 letters of interface")
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        try:
            _enter(there, place)
            device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", interface.encode(), _IFF_TAP_NO_PI))
        finally:
            os.close(there)
            _enter(home, "the wire's own namespace")
    except OSError as problem:
        raise WireError(f"cannot hold {place}: {problem.strerror}; is the lab up with access tap, and free?") from None
    finally:
        os.close(home)
    return device


def _enter(namespace: int, place: str) -> None:
    if _LIBC.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), f"cannot enter {place}")


_LIBC = ctypes.CDLL(None, use_errno=True)


class Direction:
    """One way of the wire: its link, where it writes to, and when each frame was really written."""

    def __init__(self, link: Link, out: int) -> None:
        self.link = link
        self.out = out
        self.written_us: dict[int, int] = {}
        self.refused = 0  # writes that the kernel did not take: interface down or its queue full

    def write(self, frame: bytes, number: int) -> None:
        try:
            os.write(self.out, frame)
        except OSError:
            self.refused += 1
        else:
            self.written_us.setdefault(number, now_us())
            self.written_us.pop(number - LOG_LIMIT, None)

    def row(self, passage: Passage) -> list[Any]:
        key = describe(passage.key) if isinstance(passage.key, bytes) else None
        return [*passage[:5], key, self.written_us.get(passage.number)]


class Wire:
    """Carries frames between two descriptors until Stop."""

    def __init__(self, a: int, b: int, control: socket.socket | None, seed: int = 0) -> None:
        self.directions = {
            "ab": Direction(Link(2 * seed, log_limit=LOG_LIMIT), b),
            "ba": Direction(Link(2 * seed + 1, log_limit=LOG_LIMIT), a),
        }
        self._from = {a: self.directions["ab"], b: self.directions["ba"]}
        self._control = control
        self._waiting: list[tuple[int, int, Direction, bytes, int]] = []
        self._order = 0

    def run(self) -> None:
        """Carry frames; returns when asked to stop."""
        sources: list[Any] = [*self._from] + ([self._control] if self._control else [])
        try:
            while True:
                wait_s = max(0, self._waiting[0][0] - now_us()) / 1e6 if self._waiting else None
                for source in select.select(sources, (), (), wait_s)[0]:
                    if source is self._control:
                        self._answer()
                    else:
                        self._take(source)
                self._release()
        except Stop:
            return

    def set(self, words: str) -> None:
        """Change the links by `DIR:WORD ...`. Raises LinkError, with nothing changed, when a word is wrong."""
        changes: dict[str, list[str]] = {name: [] for name in DIRECTIONS}
        for word in words.split():
            direction, _, rest = word.partition(":")
            for name in _directions(direction):
                changes[name].append(rest)
        parsed = {name: parse_changes(" ".join(each)) for name, each in changes.items()}
        for name, each in parsed.items():
            self.directions[name].link.set(**each)

    def _take(self, source: int) -> None:
        direction = self._from[source]
        for _ in range(_FRAMES_A_TURN):
            try:
                frame = os.read(source, 65536)
            except BlockingIOError:
                return
            link = direction.link
            number = link.counters.packets_in
            for due_us in link.due(len(frame), now_us(), frame[:HEAD_OCTETS], exempt_from_loss=is_arp(frame)):
                self._order += 1
                heapq.heappush(self._waiting, (due_us, self._order, direction, frame, number))

    def _release(self) -> None:
        while self._waiting and self._waiting[0][0] <= now_us():
            _, _, direction, frame, number = heapq.heappop(self._waiting)
            direction.write(frame, number)

    def _answer(self) -> None:
        assert self._control is not None
        question, sender = self._control.recvfrom(65536)
        stop = False
        try:
            request = json.loads(question)
            stop = request.get("do") == "stop"
            answer: dict[str, Any] = {"ok": self._do(request)}
        except (LinkError, ValueError, KeyError, TypeError, AttributeError) as problem:
            answer = {"error": f"bad request: {problem}"}
        if sender:
            try:
                self._control.sendto(json.dumps(answer).encode(), sender)
            except OSError:
                return  # the asker is gone; the wire carries on
        if stop:
            raise Stop

    def _do(self, request: dict[str, Any]) -> Any:
        match request["do"]:
            case "set":
                self.set(request["words"])
            case "schedule":
                steps, start_us = parse_schedule(request["steps"]), now_us()
                for name in _directions(request["direction"]):
                    self.directions[name].link.schedule(steps, start_us)
            case "counters":
                return {
                    name: each.link.counters.as_dict() | {"refused": each.refused}
                    for name, each in self.directions.items()
                }
            case "log":
                direction = self.directions[request["direction"]]
                return [direction.row(each) for each in direction.link.log_since(request["since"])[:LOG_PAGE]]
            case "stop":
                return None
            case unknown:
                raise ValueError(f"unknown {unknown!r}; try set, schedule, counters, log or stop")
        return None


def _directions(name: str) -> tuple[str, ...]:
    if name == "both":
        return DIRECTIONS
    if name not in DIRECTIONS:
        raise LinkError(f"unknown direction {name!r}; try ab:, ba: or both: before each word")
    return (name,)


def _on_signal(number: int, frame: FrameType | None) -> None:
    raise Stop


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m simulations.lab.wire", description="One emulated access link")
    parser.add_argument("a", metavar="NS:IF", help="the device that `ab` starts from")
    parser.add_argument("b", metavar="NS:IF")
    parser.add_argument("words", metavar="DIR:WORD", nargs="*", help="e.g. both:delay=10 ab:loss=1")
    parser.add_argument("--control", type=Path, required=True, help="path of the control socket to make")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        control.bind(str(options.control))
        wire = Wire(open_tap(options.a), open_tap(options.b), control, options.seed)
        wire.set(" ".join(options.words))
    except (WireError, LinkError, OSError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    _LIBC.prctl(_PR_SET_TIMERSLACK, 1)  # the default lets the kernel wake us 50 us late
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # no wire outlives a killed test
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _on_signal)
    gc.disable()  # nothing here makes cycles; a collection would show as delay
    print("ready", flush=True)
    wire.run()
    options.control.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
