"""Ports of 127.0.0.1 for servers that are about to start, so that no two programs of ours are given the same one.

They lie below what the system gives to outgoing connections (Linux: 32768 and up), where a port that was free a moment
ago may be gone when its server binds it, or binds it again after a restart. A port given is this process's own for as
long as it lives (its newest HELD are): other processes see it by a name in Linux's abstract socket space.
"""

from __future__ import annotations

import os
import socket
import sys
from collections import deque

FIRST, PAST = 20_000, 32_000
HELD = 200

_held: deque[socket.socket] = deque(maxlen=HELD)
_next = FIRST + os.getpid() * 97 % (PAST - FIRST)


def free_port(beside: int = 0) -> int:
    """Return a port that nobody has, neither TCP nor UDP, and whose `beside` successors are free as well. Raises
    OSError where all are taken."""
    global _next
    for _ in range(PAST - FIRST):
        port, _next = _next, _next + 1 if _next + 1 < PAST else FIRST
        if _is_free(port) and all(_is_free(port + i) for i in range(1, beside + 1)) and _hold(port, beside):
            _next = min(port + beside + 1, PAST - 1)
            return port
    raise OSError(f"no free port in {FIRST}..{PAST - 1}")


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def _hold(port: int, beside: int) -> bool:
    """Return whether the ports are this process's alone from now on."""
    if sys.platform != "linux":
        return True
    taken: list[socket.socket] = []
    for number in range(port, port + beside + 1):
        name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            name.bind(f"\0linewitness port {number}")
        except OSError:
            for each in (name, *taken):
                each.close()
            return False
        taken.append(name)
    for each in taken:
        if len(_held) == HELD:
            _held.popleft().close()
        _held.append(each)
    return True
