"""The machine's half of machines.py: runs jobs that came as JSON. In the subset of Python that MicroPython runs."""

import json
from binascii import hexlify, unhexlify


def pack(value):
    """Return a value as JSON can carry it."""
    if isinstance(value, (bytes, bytearray)):
        return {"hex": hexlify(value).decode()}
    if isinstance(value, (list, tuple)):
        return [pack(item) for item in value]
    if isinstance(value, dict):
        return {str(key): pack(item) for key, item in value.items()}
    return value


def unpack(value):
    """Return what pack() took, tuples as lists and keys of maps as text."""
    if isinstance(value, list):
        return [unpack(item) for item in value]
    if isinstance(value, dict):
        if list(value) == ["hex"]:
            return unhexlify(value["hex"])
        return {key: unpack(item) for key, item in value.items()}
    return value


def answer(text):
    """Return the results of the jobs in text, as text."""
    return json.dumps([pack(_do(*job)) for job in unpack(json.loads(text))])


def _do(module, function, arguments):
    try:
        return getattr(_import(module), function)(*arguments)
    except Exception as e:
        return {"error": type(e).__name__, "text": str(e)}


def _import(name):
    module = __import__(name)
    for part in name.split(".")[1:]:
        module = getattr(module, part)
    return module


def jitter(transits):
    """Return the jitter after each packet."""
    from witness.quality import Jitter

    j = Jitter()
    values = []
    for transit in transits:
        j.update(transit)
        values.append(j.value())
    return values


def window(packets, interval_us, timeout_us, stateful, link_up, events, codec, buffer_us):
    """Play events into a Window and return its reading, checked as the wire would check it.

    events: ["sent", at_us], ["refused", void, code], ["stall", now_us, stall_us] or
    ["reply", sender's sequence, reflector's, received_us, hold_us, stall_us]
    """
    from linewitness_wire import record
    from witness.probes.stamp_packet import Reflected, ntp_of_us
    from witness.probes.window import Window

    w = Window(packets, interval_us, timeout_us, stateful)
    for event in events:
        kind = event[0]
        if kind == "sent":
            w.note_sent(event[1])
        elif kind == "refused":
            w.note_refused(event[1], event[2])
        elif kind == "stall":
            w.note_stall(event[1], event[2])
        else:
            _, sequence, number, received_us, hold_us, stall_us = event
            came = ntp_of_us(1_000_000)
            left = ntp_of_us(1_000_000 + hold_us) + 1 if hold_us >= 0 else came - (1 << 32)
            w.note_reply(Reflected(number, 0, left, came, 1, sequence, 0), received_us, stall_us)
    w.close(link_up)
    reading = w.reading(7_000_000, 5_000_000, codec, buffer_us)
    reading[record.TARGET] = 0
    record.check_reading(reading)
    return {record.reading_name(key): value for key, value in reading.items()}


def hold(sent, received, estimate):
    """Return the hold of a reflected packet with T3 = sent and T2 = received."""
    from witness.probes.stamp_packet import Reflected, hold_us

    return hold_us(Reflected(0, 0, sent, received, estimate, 0, 0))


def described(text, piece, address, port):
    """Give a device description to its reader in pieces; return the services found."""
    from witness.probes.igd_message import Description

    description = Description(address, port)
    for at in range(0, len(text), piece):
        description.take(text[at : at + piece])
    return description.services


def account(modulus, words):
    """Note a router's words [at_us, uptime_s, status, octets in, octets out, errors]; return the reading by names."""
    from linewitness_wire import record
    from witness.probes.wan import Account, Word

    a = Account()
    for word in words:
        a.note(Word(*word), modulus)
    return {record.reading_name(key): value for key, value in a.take().items()}
