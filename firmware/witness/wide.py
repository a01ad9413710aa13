"""Joins batches in which nothing changed, so that a long time without the collector fits the journal.

Two batches are joined when both are plain and alike: no event, no reading that tells its samples one by one, no target
that answered in one and not in the other, no call-quality window with a reply late, twice, out of order or malformed.
Then the counts of both say as much as the two did. Of a target's readings one is left: counts are added, of round trips
stand the least, the weighted mean and the greatest of both; of what has no sum, the worst stands. Call-quality windows
are left as they are in batches of up to WINDOWS_APART_US, and joined likewise in longer ones.
"""

from linewitness_wire import record

_ADDED = (
    record.SENT, record.ANSWERED, record.SELF_DELAYED, record.RECONNECTS, record.UP_US, record.RESTARTS,
    record.COUNTED_US, record.IN_ERRORS,
)  # fmt: skip
_ADDED_EACH = (record.LOST_BY_DIRECTION, record.OCTETS)
_LEAST = (record.HEAP_FREE, record.RSSI_DBM, record.R_CENTI, record.MOS_MILLI)
_MOST = (record.STALL_US, record.JITTER_US, record.BURST_R_MILLI)
_MOST_OF_EACH = (
    record.PDV_US, record.BURST, record.PEAK_KBITS, record.RESOLVE_US, record.CONNECT_US, record.HANDSHAKE_US,
)  # fmt: skip
_NEWEST = (record.UPTIME_S,)
_OF_THE_LEAST = (record.OFFSET_US, record.ROOT_DISTANCE_US)  # of the sample with the least round trip
_EQUAL = (record.CHANNEL, record.WAN_STATUS, record.PEER, record.CERTIFICATE, record.MAPPED)
_HANDLED = (
    (record.TARGET, record.START_US, record.SPAN_US, record.RTT_US, record.CODES) + _ADDED + _ADDED_EACH + _LEAST
    + _MOST + _MOST_OF_EACH + _NEWEST + _OF_THE_LEAST + _EQUAL
)  # fmt: skip
_SPOILT = (record.LATE, record.DUPLICATE, record.REORDERED, record.MALFORMED)

WINDOWS_APART_US = 310_000_000


def is_plain(batch) -> bool:
    """Whether a tally.Batch may be joined with another."""
    return not batch.body.events and all(map(_is_plain, batch.body.readings))


def join(first, second):
    """Return one tally.Batch for two that follow one another, None where they are not alike."""
    if second.start_us != first.end_us or not is_plain(first) or not is_plain(second):
        return None
    shift_us = second.start_us - first.start_us
    apart = second.end_us - first.start_us <= WINDOWS_APART_US
    joined: dict = {}
    for reading in first.body.readings + [_moved(reading, shift_us) for reading in second.body.readings]:
        place = (reading[record.TARGET], reading[record.START_US] if apart and record.BURST in reading else 0)
        if place in joined:
            reading = _both(joined[place], reading)
            if reading is None:
                return None
        joined[place] = reading
    body = record.Body([joined[place] for place in sorted(joined)], [])
    return first.__class__(first.start_us, second.end_us, body, first.quiet and second.quiet)


def _measured(reading: dict) -> int:
    return reading.get(record.SENT, 0) - reading.get(record.SELF_DELAYED, 0)


def _is_plain(reading: dict) -> bool:
    for key in reading:
        if key not in _HANDLED and not (key in _SPOILT and not reading[key]):
            return False
    return reading.get(record.ANSWERED, 0) in (0, _measured(reading))


def _moved(reading: dict, shift_us: int) -> dict:
    moved = dict(reading)
    moved[record.START_US] += shift_us
    return moved


def _both(first: dict, second: dict) -> "dict | None":
    """One reading for two of a target; None where they are not alike."""
    if _measured(first) and _measured(second) and (first[record.ANSWERED] > 0) != (second[record.ANSWERED] > 0):
        return None
    if _codes(first) != _codes(second):
        return None
    for key in _EQUAL:
        if first.get(key) != second.get(key):
            return None
    later_is_least = second.get(record.RTT_US, (1 << 32,))[0] < first.get(record.RTT_US, (1 << 32,))[0]
    both = dict(first)
    for key in second:
        a, b = first.get(key), second[key]
        if a is None:
            both[key] = b
        elif key in _ADDED:
            both[key] = a + b
        elif key in _LEAST:
            both[key] = min(a, b)
        elif key in _MOST:
            both[key] = max(a, b)
        elif key in _MOST_OF_EACH:
            both[key] = [max(x, y) for x, y in zip(a, b)]
        elif key in _NEWEST or (key in _OF_THE_LEAST and later_is_least):
            both[key] = b
        elif key in _ADDED_EACH:
            both[key] = [x + y for x, y in zip(a, b)]
        elif key == record.RTT_US:
            n, m = first[record.ANSWERED], second[record.ANSWERED]
            both[key] = [min(a[0], b[0]), (a[1] * n + b[1] * m) // (n + m), max(a[2], b[2]), max(a[3], b[3])]
        elif key == record.CODES:
            both[key] = [[x[0], x[1] + y[1]] for x, y in zip(a, b)]
    both[record.SPAN_US] = second[record.START_US] + second[record.SPAN_US] - first[record.START_US]
    return both


def _codes(reading: dict) -> list:
    return [pair[0] for pair in reading.get(record.CODES, ())]
