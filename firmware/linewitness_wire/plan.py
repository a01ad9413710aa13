"""The plan: what a witness measures, as agreed before the month. Its SHA-256 stands in every batch.

    plan   = {0: version, 1: site, 2: witness, 3: issued_utc_us, 4: batch_s, 5: [target, ...], 6: fail_rounds,
              7: clear_rounds, 8: [resolver, ...], 9: [time server, ...]}
    target = {0: name, 1: segment, 2: method, 3: role, 4: host, 5: port, 6: period_ms, 7: fast_period_ms, 8: timeout_ms,
              9: {option: value}}

host is a dotted IPv4 address, a DNS name, "gateway" (the default gateway of the moment), or "private:" and 32 hex
digits: a salted hash of the address of a person's device (see private_host), which the witness is told with its
configuration. The index of a target is its number in readings. Options: see OPTION_*.
"""

import hashlib
from collections import namedtuple

from . import cbor, codes, cose
from .envelope import hmac_sha256
from .errors import OutOfRange, UnknownField, UnknownVersion, WrongType

VERSION = 1

OPTION_NAME = 0  # text: the name that a DNS target asks for; the SIP domain of a SIP target
OPTION_PACKETS = 1  # packets of a call-quality window
OPTION_INTERVAL_MS = 2  # their distance
OPTION_PAYLOAD = 3  # octets of UDP payload of each
OPTION_CODEC = 4  # codes.CODEC_*
OPTION_BUFFER_MS = 5  # depth of the jitter buffer: later is lost
OPTION_SECRET = 6  # text: name of the secret for authenticated STAMP or SIP; never the secret itself
OPTION_FRESH = 7  # 1: put a random label before the DNS name so that no cache answers
OPTION_GAP_MS = 8  # least distance between requests to the targets of this segment and role that carry it
OPTION_INDEX = 9  # ifIndex of a router's WAN interface (RFC 2863)
OPTION_USUAL = 10  # text: public address or network (a.b.c.d/n) of the usual line; another one is backup access
OPTION_MEMBER = 11  # which server of the host's set (RFC 3263), from 1
OPTION_AUTHORITY = 12  # text: name of the authority that the server's certificate must be of
OPTION_EXTENSION = 13  # text: whom a test call calls
OPTION_SECONDS = 14  # how long a test call lasts once answered
OPTION_ALLOWED = 15  # 1: the operator agreed to these test calls
OPTION_REGISTER = 16  # 1: REGISTER before the call
OPTION_ECHO = 17  # 1: the extension sends back what it hears

CALL_SECONDS_LEAST = 15
CALL_SECONDS_MOST = 30
CALLS_AN_HOUR = 6  # at most, over all targets of a plan

PRIVATE = "private:"  # how a host begins that stands for the address of a person's device

Plan = namedtuple(
    "Plan",
    ("site", "witness", "issued_utc_us", "batch_s", "targets", "fail_rounds", "clear_rounds", "resolvers", "servers"),
)
Target = namedtuple(
    "Target",
    ("name", "segment", "method", "role", "host", "port", "period_ms", "fast_period_ms", "timeout_ms", "options"),
)


_TEXTS = (OPTION_NAME, OPTION_SECRET, OPTION_USUAL, OPTION_AUTHORITY, OPTION_EXTENSION)


def digest(octets: bytes) -> bytes:
    """Return SHA-256 of an encoded plan."""
    return hashlib.sha256(octets).digest()


def private_host(salt: bytes, address: str) -> str:
    """Return the host that stands for an address in a plan: PRIVATE and the leftmost 16 octets of an HMAC-SHA-256.

    salt is the site's own secret: without it the few addresses that a LAN can have would soon be tried out.
    """
    return PRIVATE + hmac_sha256(salt, b"linewitness/1/endpoint\0" + address.encode())[:16].hex()


def encode_plan(plan: Plan) -> bytes:
    """Return the deterministic CBOR of a Plan; raises a WireError rather than write one that would be refused."""
    octets = cbor.encode({
        0: VERSION, 1: plan.site, 2: plan.witness, 3: plan.issued_utc_us, 4: plan.batch_s,
        5: [_target_map(t) for t in plan.targets], 6: plan.fail_rounds, 7: plan.clear_rounds,
        8: list(plan.resolvers), 9: list(plan.servers),
    })  # fmt: skip
    decode_plan(octets)
    return octets


def _target_map(target: Target) -> dict:
    return {i: target[i] for i in range(len(target))}


def decode_plan(octets: bytes) -> Plan:
    """Return the Plan of octets. Raises a WireError."""
    fields = cbor.decode(octets)
    if not isinstance(fields, dict):
        raise WrongType("plan: wanted a map")
    if fields.get(0) != VERSION or isinstance(fields.get(0), bool):
        raise UnknownVersion("plan: wanted version %d, got %r" % (VERSION, fields.get(0)))
    for key in range(10):
        if key not in fields:
            raise OutOfRange("plan: field %d is missing" % key)
    if len(fields) != 10:
        raise UnknownField("plan: %d fields in version %d" % (len(fields), VERSION))
    kinds = (str, str, int, int, list, int, int, list, list)
    _typed(fields, [(i + 1, kind) for i, kind in enumerate(kinds)], "plan")
    cose.check_name(fields[1], "plan: site")
    cose.check_name(fields[2], "plan: witness")
    if not 0 <= fields[3] <= 0x7FFFFFFFFFFFFFFF:
        raise OutOfRange("plan: issued_utc_us: wanted 0..2^63-1, got %d" % fields[3])
    for key in (8, 9):
        for item in fields[key]:
            if not isinstance(item, str):
                raise WrongType("plan: field %d holds a %s" % (key, type(item).__name__))
    for key in (4, 6, 7):
        if not 1 <= fields[key] <= 3600:
            raise OutOfRange("plan: field %d: wanted 1..3600, got %d" % (key, fields[key]))
    if not 1 <= len(fields[5]) <= 64:
        raise OutOfRange("plan: wanted 1..64 targets, got %d" % len(fields[5]))
    targets = [_target(t, i) for i, t in enumerate(fields[5])]
    calls_milli = calls_an_hour_milli(targets)
    if calls_milli > CALLS_AN_HOUR * 1000:
        raise OutOfRange("plan: wanted at most %d test calls an hour, got %d" % (CALLS_AN_HOUR, calls_milli // 1000))
    return Plan(
        fields[1], fields[2], fields[3], fields[4], targets, fields[6], fields[7], fields[8], fields[9],
    )  # fmt: skip


def _typed(fields: dict, wanted: list | tuple, what: str) -> None:
    for key, kind in wanted:
        if isinstance(fields[key], bool) or not isinstance(fields[key], kind):
            raise WrongType("%s: field %d is a %s" % (what, key, type(fields[key]).__name__))


def _target(fields: object, i: int) -> Target:
    what = "target %d" % i
    if not isinstance(fields, dict) or sorted(fields) != list(range(10)):
        raise OutOfRange("%s: wanted the fields 0..9" % what)
    _typed(fields, ((0, str), (1, int), (2, int), (3, int), (4, str), (5, int), (6, int), (7, int), (8, int)), what)
    if not isinstance(fields[9], dict):
        raise WrongType("%s: options are not a map" % what)
    for key, value in fields[9].items():
        if key > OPTION_ECHO:
            raise UnknownField("%s: no option %d in version %d" % (what, key, VERSION))
        wanted = str if key in _TEXTS else int
        if isinstance(value, bool) or not isinstance(value, wanted):
            raise WrongType("%s: option %d is a %s" % (what, key, type(value).__name__))
        if isinstance(value, int) and not 0 <= value <= 65535:
            raise OutOfRange("%s: option %d: wanted 0..65535, got %d" % (what, key, value))
    limits = (
        (1, 0, len(codes.SEGMENT_NAMES) - 1), (2, 0, len(codes.METHOD_NAMES) - 1), (3, 0, 1), (5, 0, 65535),
        (6, 200, 3_600_000), (7, 200, 3_600_000), (8, 50, 60_000),
    )  # fmt: skip
    for key, low, high in limits:
        if not low <= fields[key] <= high:
            raise OutOfRange("%s: field %d: wanted %d..%d, got %d" % (what, key, low, high, fields[key]))
    target = Target(*[fields[key] for key in range(10)])
    if target.method == codes.METHOD_CALL:
        _check_call(target, what)
    return target


def _check_call(target: Target, what: str) -> None:
    """Return nothing; raise OutOfRange for a test call that nobody agreed to, or one too short or too long."""
    if target.options.get(OPTION_ALLOWED) != 1 or not target.options.get(OPTION_EXTENSION):
        raise OutOfRange("%s: a test call without the operator's yes and the extension" % what)
    seconds = target.options.get(OPTION_SECONDS, CALL_SECONDS_LEAST)
    if not CALL_SECONDS_LEAST <= seconds <= CALL_SECONDS_MOST:
        limits = (what, CALL_SECONDS_LEAST, CALL_SECONDS_MOST, seconds)
        raise OutOfRange("%s: a test call lasts %d..%d s, not %d" % limits)


def calls_an_hour_milli(targets: list) -> int:
    """Return how many test calls an hour the targets make, in thousandths."""
    return sum([3_600_000_000 // target.period_ms for target in targets if target.method == codes.METHOD_CALL])
