"""One sample of a single-shot probe, and the rules by which the witness's own faults make it void.

A loop that stalls reads a reply late: what it then measures is itself. An answered sample is void when the loop
stalled for more than STALL_US while it was in flight. An unanswered one is void when the stall was long enough to
overflow the receive queue (LOSS_STALL_US). A shorter stall delays a reply in the queue without losing it: the loss
stands, or else a busy witness would never see an outage. So that a reply does not lie unread when a stall covers the
deadline, whoever waits goes on for GRACE_MS after it; what is read then is void or lost, as its stall says.
"""

import asyncio
from collections import namedtuple

from linewitness_wire import codes

STALL_US = 5_000
LOSS_STALL_US = 60_000  # three packets of a call: a fourth still fits the queue of 4 datagrams
GRACE_MS = 5  # turns of the loop enough to read a whole queue

CODE_UNRESOLVED = -2  # -ENOENT: the target's name never resolved

Sample = namedtuple("Sample", ("fate", "sent_us", "rtt_us", "code"))
"""fate codes.FATE_*; sent_us monotonic; rtt_us an int exactly for ANSWERED and WRONG; code an int or None."""


def answered(clock, sent_us: int, received_us: int, timeout_us: int, fate: int, code: int | None) -> Sample:
    """Return the Sample of a reply read at received_us; fate is what the reply says, ANSWERED or WRONG."""
    if clock.stall_us_since(sent_us) > STALL_US:
        return Sample(codes.FATE_VOID, sent_us, None, None)
    rtt_us = received_us - sent_us
    if rtt_us > timeout_us:
        return Sample(codes.FATE_LOST, sent_us, None, None)
    return Sample(fate, sent_us, rtt_us, code)


def unanswered(clock, link, sent_us: int, code: int | None = None) -> Sample:
    """Return the Sample of a request that is given up now."""
    if clock.stall_us_since(sent_us) > LOSS_STALL_US or not link.is_up():
        return Sample(codes.FATE_VOID, sent_us, None, code)
    return Sample(codes.FATE_LOST, sent_us, None, code)


async def within(timeout_us: int, waiting) -> bool:
    """Return whether waiting(), which makes something to await, is over within timeout_us and the grace after it."""
    for wait_ms in ((timeout_us + 999) // 1000, GRACE_MS):
        try:
            await asyncio.wait_for_ms(waiting(), wait_ms)
            return True
        except asyncio.TimeoutError:
            continue
    return False


def unresolved(now_us: int) -> Sample:
    """Return the Sample of a target whose name never resolved: void, for DNS is another target's matter."""
    return Sample(codes.FATE_VOID, now_us, None, CODE_UNRESOLVED)
