"""The body of a batch: its readings and events, what a reading leaves out, and their strict decoding.

    body = {0: version, 1: [reading, ...], 2: [event, ...]}

In version 2, which is what is written, a reading states only what its batch, the reading before it and its own fields
do not say already; every other field stands in it as in version 1, which is read as well. Left out is

    target                where it is one more than that of the reading before; 0 in the first
    start_us, span_us     where the window begins with the batch; where it ends with it
    answered              where it is all that was measured (sent less self_delayed), or nothing and there is no rtt_us
    up_us                 where it is span_us
    a count of 0          of self_delayed, late, duplicate, reordered, malformed
    and in a call-quality window with delays (jitter_us tells one):
    pdv_us                where it is [p95 - min, max - min] of rtt_us, as in a window that was not joined with another
    lost_by_direction     where all that was sent was answered, and it is [0, 0]
    burst, burst_r_milli  where nothing was lost to the call: no burst, a gap as long as the window, a BurstR of 1000;
                          burst is not put in again

and rtt_us is spelt [min, mean - min, p95 - min, max - p95]. Nobody chooses: what can be left out is, or is refused. So
encode(decode(octets)) == octets for all of version 2 that decode() takes.
"""

from . import cbor, record
from .errors import NotCanonical, OutOfRange, WireError

VERSION = 2

_COUNTS = (record.SELF_DELAYED, record.LATE, record.DUPLICATE, record.REORDERED, record.MALFORMED)
_MADE_UP = (record.TARGET, record.SPAN_US, record.RTT_US)  # in full they may be out of range


def encode(body: record.Body, span_us: int) -> bytes:
    """Return the octets of the Body of a batch that is span_us long; raises a WireError rather than write one that
    would be refused."""
    check(body)
    out = bytearray(b"\xa3\x00\x02\x01")  # a map of 3: the version, then the readings
    cbor.put_head(0x80, len(body.readings), out)
    before = -1
    for reading in body.readings:
        cbor.put(_shorten(reading, before, span_us), out)
        before = reading[record.TARGET]
    out.append(2)
    cbor.put(body.events, out)
    if len(out) > record.BODY_MAX_OCTETS:
        raise OutOfRange("body: wanted at most %d octets, got %d" % (record.BODY_MAX_OCTETS, len(out)))
    return bytes(out)


def decode(octets: bytes, span_us: int) -> record.Body:
    """Return the Body of a batch that is span_us long, its readings in full. Raises a WireError for anything that
    encode() would not have written, now or in version 1."""
    if len(octets) > record.BODY_MAX_OCTETS:
        raise OutOfRange("body: wanted at most %d octets, got %d" % (record.BODY_MAX_OCTETS, len(octets)))
    fields = record.versioned_map(octets, 3, VERSION, "body")
    body = record.Body(fields[1], fields[2])
    if fields[0] != VERSION:
        check(body)
        return body
    _check_each(body.events, "event", record.check_event)
    record.check_array(body.readings, None, "readings")
    return record.Body(_lengthen_all(body.readings, span_us), body.events)


def check(body: record.Body) -> None:
    """Return nothing; raise a WireError for a reading (in full) or an event that no witness may sign."""
    _check_each(body.readings, "reading", record.check_reading)
    _check_each(body.events, "event", record.check_event)


def _check_each(items: list, what: str, check_item) -> None:
    record.check_array(items, None, what + "s")
    for i, item in enumerate(items):
        try:
            check_item(item)
        except WireError as e:
            raise type(e)("%s %d: %s" % (what, i, e))


def read(header: record.Header, octets: bytes) -> record.Body:
    """Return the Body of the batch with this Header. Raises what decode() does, and OutOfRange unless the header counts
    what the body (and its octets) holds. Whether it is the body that the header names, its hash says."""
    body = decode(octets, header.end_us - header.start_us)
    got = (len(body.readings), len(body.events), len(octets))
    if tuple(header.counts) != got:
        raise OutOfRange("header counts %r, the body holds %r" % (tuple(header.counts), got))
    return body


def _shorten(reading: dict, before: int, span_us: int) -> dict:
    """Return a reading as it is spelt. before: the target of the reading before, -1 for the first."""
    short = dict(reading)
    for key, value in _usual(reading, before, span_us):
        if short.get(key) == value:
            del short[key]
    for key in _COUNTS:
        if short.get(key) == 0:
            del short[key]
    rtt = reading.get(record.RTT_US)
    if rtt is not None:
        short[record.RTT_US] = [rtt[0], rtt[1] - rtt[0], rtt[2] - rtt[0], rtt[3] - rtt[2]]
    return short


def _lengthen_all(readings: list, span_us: int) -> list:
    """Return readings in full; raises NotCanonical for one that states what it leaves out."""
    result: list = []
    before = -1
    for i, short in enumerate(readings):
        try:
            record.check_fields(short)
            reading = _lengthen(short, before, span_us)
            record.check_fields({key: reading[key] for key in _MADE_UP if key in reading})
            record.check_relations(reading)
        except WireError as e:
            raise type(e)("reading %d: %s" % (i, e))
        before = reading[record.TARGET]
        result.append(reading)
    return result


def _lengthen(short: dict, before: int, span_us: int) -> dict:
    reading = dict(short)
    rtt = short.get(record.RTT_US)
    if rtt is not None:
        p95 = rtt[0] + rtt[2]
        reading[record.RTT_US] = [rtt[0], rtt[0] + rtt[1], p95, p95 + rtt[3]]
    for key, value in _usual(reading, before, span_us):
        if key not in short:
            reading[key] = value
        elif short[key] == value:
            raise NotCanonical("%s: states what it would be without" % record.reading_name(key))
    for key in _COUNTS:
        if short.get(key) == 0:
            raise NotCanonical("%s: states a count of 0" % record.reading_name(key))
    return reading


def _usual(reading: dict, before: int, span_us: int):
    """Yield (field, what it is where it is left out), each after those that it follows from."""
    yield record.TARGET, before + 1
    yield record.START_US, 0
    yield record.SPAN_US, span_us - reading[record.START_US]
    if record.RECONNECTS in reading:
        yield record.UP_US, reading[record.SPAN_US]
    sent = reading.get(record.SENT)
    if sent is None:
        return
    rtt = reading.get(record.RTT_US)
    measured = sent - reading.get(record.SELF_DELAYED, 0)
    yield record.ANSWERED, 0 if rtt is None else measured
    if rtt is not None and record.JITTER_US in reading:
        yield record.PDV_US, [rtt[2] - rtt[0], rtt[3] - rtt[0]]
        if reading[record.ANSWERED] == sent:
            yield record.LOST_BY_DIRECTION, [0, 0]
        if reading[record.ANSWERED] - reading.get(record.LATE, 0) == measured:
            yield record.BURST_R_MILLI, 1000
            burst = reading.get(record.BURST)
            if burst is not None:  # how long the gap is, the plan's interval says
                yield record.BURST, [0, 0, 0, burst[3], 0]
