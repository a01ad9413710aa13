"""What the wire package makes of one golden vector. Plain source: the same file runs on CPython and on MicroPython.

outcome(case) gives ("ok", value) or (name of the error class, message); value is spelt as in the vector's file (octets
as hex). A valid case whose value is encoded again must give the same octets, or the outcome is "respelt".
"""

import binascii

from linewitness_wire import bodies, cbor, chain, cose, envelope, plan, record
from linewitness_wire.errors import WireError

KINDS_WITHOUT_KEYS = ("cbor", "header", "body", "counts", "plan", "cose", "chain", "batch", "ack", "command")


def outcome(case):
    try:
        value, again = _READERS[case["kind"]](case)
    except WireError as e:
        return type(e).__name__, str(e)
    if again is not None and again != _octets(case["hex"]):
        return "respelt", _hex(again)
    return "ok", plain(value)


def plain(value):
    """Return value as JSON holds it: octets as "h'..'", tuples as lists, keys as text."""
    if isinstance(value, bytes):
        return "h'" + _hex(value) + "'"
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(value[key]) for key in value}
    return value


def _octets(text):
    return binascii.unhexlify(text)


def _hex(octets):
    return binascii.hexlify(octets).decode()


def _cbor(case):
    value = cbor.decode(_octets(case["hex"]))
    return value, cbor.encode(value)


def _header(case):
    value = record.decode_header(_octets(case["hex"]))
    return value, record.encode_header(value)


def _body(case):
    octets = _octets(case["hex"])
    span_us = case.get("span_us")
    if span_us is None:  # version 1, which nobody writes any more
        value = bodies.decode(octets, 0)
        return value, cbor.encode({0: 1, 1: value.readings, 2: value.events})
    value = bodies.decode(octets, span_us)
    return value, bodies.encode(value, span_us)


def _counts(case):
    return bodies.read(record.decode_header(_octets(case["header"])), _octets(case["hex"])), None


def _plan(case):
    value = plan.decode_plan(_octets(case["hex"]))
    return value, plan.encode_plan(value)


def _cose(case):
    value = cose.split(_octets(case["hex"]))
    return value, cose.join(value.kid, value.payload, value.signature)


def _chain(case):
    head = chain.START
    for text in case["batches"]:
        octets = _octets(text)
        head = chain.follow(head, record.decode_header(cose.split(octets).payload), cose.digest(octets))
    return head, None


def _batch(case):
    signed, body = envelope.decode_batch(_octets(case["hex"]))
    return (signed, body), envelope.encode_batch(signed, body)


def _ack(case):
    place = _octets(case["secret"]), case["site"], case["witness"]
    value = envelope.decode_ack(*place, _octets(case["hex"]))
    return value, envelope.encode_ack(*place, value)


def _command(case):
    place = _octets(case["secret"]), case["site"], case["witness"]
    value = envelope.decode_command(*place, _octets(case["hex"]))
    return value, envelope.encode_command(*place, value)


_READERS = {
    "cbor": _cbor,
    "header": _header,
    "body": _body,
    "counts": _counts,
    "plan": _plan,
    "cose": _cose,
    "chain": _chain,
    "batch": _batch,
    "ack": _ack,
    "command": _command,
}
