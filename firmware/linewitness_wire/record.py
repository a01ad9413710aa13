"""Header, readings and events of a batch: fields, types, ranges, and the header's strict decoding.

    header = {0: version, 1: seq, 2: previous, 3: boot, 4: start_us, 5: end_us, 6: [utc_us, bound_us, source, age_s],
              7: plan, 8: firmware, 9: body, 10: [readings, events, octets], 11: anchor}
    event  = [kind, at_us, detail, ...]

A reading is a map from the keys below to integers, octet strings or short arrays; keys that do not apply are absent.
How they are spelt in a body is said in bodies.py. All times are monotonic microseconds of the boot that the header
numbers; start_us of a reading and at_us of an event count from the header's start_us.
"""

from collections import namedtuple

from . import cbor, codes
from .errors import OutOfRange, UnknownField, UnknownVersion, WrongType

VERSION = 1
HEADER_MAX_OCTETS = 256
BODY_MAX_OCTETS = 8192
NO_PREVIOUS = bytes(32)  # what the first batch of a key names as its predecessor

U8, U16, U32, U48, U63 = 0xFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFF, 0x7FFFFFFFFFFFFFFF

# Keys of a reading.
TARGET = 0  # index in the plan's targets
START_US = 1  # from the header's start_us
SPAN_US = 2  # length of the window; the next window of the target begins at or after its end
SENT = 3  # samples sent
ANSWERED = 4  # replies within the loss threshold, wrong ones and late ones included, duplicates not
RTT_US = 5  # [min, mean, p95, max] of the answered; absent where nothing was
SAMPLES = 6  # two octets a sample: fate in the top 2 bits, send time from START_US in 10 ms in the low 14
CODES = 7  # [[code, count], ...] ascending: SIP status, DNS RCODE, -errno of the port for a local failure
SELF_DELAYED = 8  # samples spoilt by the witness itself: neither answered nor lost
STALL_US = 9  # longest stall of the witness's loop in the window
LATE = 10  # answered, but beyond the jitter buffer: lost to a call
DUPLICATE = 11
REORDERED = 12  # RFC 4737 type P: sequence number below the highest seen
MALFORMED = 13  # replies that are none (wrong length, wrong fields)
JITTER_US = 14  # RFC 3550 6.4.1, at the window's end
PDV_US = 15  # RFC 5481: [p95, max] of delay minus the window's least
LOST_BY_DIRECTION = 16  # [forward, backward], stateful reflectors only
BURST = 17  # RFC 3611 4.7.2, Gmin 16: [burst density/256, gap density/256, mean burst ms, mean gap ms, bursts]
BURST_R_MILLI = 18  # G.107 BurstR x 1000
R_CENTI = 19  # G.107 rating factor x 100
MOS_MILLI = 20  # MOS-CQE x 1000; the cubic of G.107 Annex B dips to 0.989 near R = 3
RSSI_DBM = 21
CHANNEL = 22
RECONNECTS = 23  # associations (Wi-Fi) or carrier losses (Ethernet) in the window
UP_US = 24  # how long of the window the link was up
HEAP_FREE = 25  # octets
# What a router says of itself and its WAN interface (SNMP, UPnP IGD). It is its word, no measurement of ours.
UPTIME_S = 26  # newest: since the router (SNMP) or its connection (IGD) came up
RESTARTS = 27  # times that its uptime went back
WAN_STATUS = 28  # newest: RFC 2863 ifOperStatus (1 up, 2 down, 4 unknown, 5 dormant: connecting)
OCTETS = 29  # [in, out] through the WAN interface in COUNTED_US
COUNTED_US = 30  # between the first and the last reply that OCTETS and IN_ERRORS are the difference of
PEAK_KBITS = 31  # [in, out] kbit/s between the two successive replies with the most
IN_ERRORS = 32  # ifInErrors in COUNTED_US
OFFSET_US = 33  # an NTP server's time minus ours, of the sample with the least round trip
ROOT_DISTANCE_US = 34  # how wrong that server says it may be, half the round trip to it included
# Connections and SIP. Times are [mean, max] of those since the reading before.
PEER = 35  # newest: address and port of the server that was probed, 4 + 2 octets
RESOLVE_US = 36  # look-ups of its name that asked a server
CONNECT_US = 37  # TCP connects
HANDSHAKE_US = 38  # TLS handshakes
CERTIFICATE = 39  # newest: [1 checked / 0 not, end of its validity in UTC s, first 4 octets of its SHA-256]
MAPPED = 40  # newest: our address and port as the SIP server saw them (RFC 3581), 4 + 2 octets
# A test call.
CALL = 41  # codes.CALL_*
REGISTER_US = 42  # first REGISTER to its 200 (RFC 6076 4.1)
POST_DIAL_US = 43  # first INVITE to the first response other than 100 (RFC 6076 4.3)
ANSWER_US = 44  # first INVITE to 200
MEDIA_IN = 45  # the stream that came in, by its RTP sequence numbers: [expected, received, jitter_us]
MEDIA_OUT = 46  # ours, by the far end's newest RTCP report: [sent till then, lost, jitter_us]
RTCP_RTT_US = 47  # newest round trip by RTCP (RFC 3550 6.4.1)
# One string, not a tuple of 48: a board interns every name that it holds by itself.
READING_NAMES = (
    "target start_us span_us sent answered rtt_us samples codes self_delayed stall_us late duplicate reordered "
    "malformed jitter_us pdv_us lost_by_direction burst burst_r_milli r_centi mos_milli rssi_dbm channel "
    "reconnects up_us heap_free uptime_s restarts wan_status octets counted_us peak_kbits in_errors offset_us "
    "root_distance_us peer resolve_us connect_us handshake_us certificate mapped call register_us post_dial_us "
    "answer_us media_in media_out rtcp_rtt_us"
)

SAMPLE_UNIT_US = 10_000
SAMPLE_MAX_US = 0x3FFF * SAMPLE_UNIT_US

Header = namedtuple(
    "Header",
    ("seq", "previous", "boot", "start_us", "end_us", "clock", "plan", "firmware", "body", "counts", "anchor"),
)
"""seq 1.., previous 32 octets, boot 1.., [start_us, end_us) monotonic, clock a Clock, plan/firmware/body SHA-256,
counts (readings, events, octets of the body), anchor 32 octets or None."""

Clock = namedtuple("Clock", ("utc_us", "bound_us", "source", "age_s"))
"""UTC at end_us in microseconds since 1970, its error bound, codes.CLOCK_*, age of the last synchronisation; all but
the source are None before the first one."""

Body = namedtuple("Body", ("readings", "events"))
"""readings: list of dicts by the keys above; events: list of lists [kind, at_us, detail, ...]."""


# --- checks ---------------------------------------------------------------------------------------------------------


def reading_name(key: int) -> str:
    """Return the name of a reading's field."""
    return READING_NAMES.split()[key]


def _name(what: str | int) -> str:
    return what if isinstance(what, str) else reading_name(what)


def _integer(value: object, low: int, high: int, what: str | int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise WrongType("%s: wanted an integer, got %s" % (_name(what), type(value).__name__))
    if value < low or value > high:
        raise OutOfRange("%s: wanted %d..%d, got %d" % (_name(what), low, high, value))


def _octets(value: object, n: int, what: str | int) -> None:
    if not isinstance(value, bytes):
        raise WrongType("%s: wanted octets, got %s" % (_name(what), type(value).__name__))
    if len(value) != n:
        raise OutOfRange("%s: wanted %d octets, got %d" % (_name(what), n, len(value)))


def check_array(value: object, n: int | None, what: str | int) -> None:
    """Raise WrongType or OutOfRange unless value is an array, of n items; what: its name, or a reading's field."""
    if not isinstance(value, (list, tuple)):
        raise WrongType("%s: wanted an array, got %s" % (_name(what), type(value).__name__))
    if n is not None and len(value) != n:
        raise OutOfRange("%s: wanted %d items, got %d" % (_name(what), n, len(value)))


# --- header ---------------------------------------------------------------------------------------------------------


def encode_header(header: Header) -> bytes:
    """Return the deterministic CBOR of a Header; raises a WireError rather than write one that would be refused."""
    check_header(header)
    octets = cbor.encode({
        0: VERSION, 1: header.seq, 2: header.previous, 3: header.boot, 4: header.start_us, 5: header.end_us,
        6: list(header.clock), 7: header.plan, 8: header.firmware, 9: header.body, 10: list(header.counts),
        11: header.anchor,
    })  # fmt: skip
    if len(octets) > HEADER_MAX_OCTETS:
        raise OutOfRange("header: wanted at most %d octets, got %d" % (HEADER_MAX_OCTETS, len(octets)))
    return octets


def decode_header(octets: bytes) -> Header:
    """Return the Header of octets. Raises a WireError for anything that encode_header() would not have written."""
    if len(octets) > HEADER_MAX_OCTETS:
        raise OutOfRange("header: wanted at most %d octets, got %d" % (HEADER_MAX_OCTETS, len(octets)))
    fields = versioned_map(octets, 12, VERSION, "header")
    clock, counts = fields[6], fields[10]
    check_array(clock, 4, "clock")
    check_array(counts, 3, "counts")
    header = Header(
        fields[1], fields[2], fields[3], fields[4], fields[5], Clock(*clock), fields[7], fields[8], fields[9],
        tuple(counts), fields[11],
    )  # fmt: skip
    check_header(header)
    return header


def check_header(header: Header) -> None:
    """Return nothing; raise WrongType or OutOfRange for a field that no witness may sign."""
    _integer(header.seq, 1, U32, "seq")
    _octets(header.previous, 32, "previous")
    _integer(header.boot, 1, U32, "boot")
    _integer(header.start_us, 0, U63, "start_us")
    _integer(header.end_us, header.start_us, U63, "end_us")
    check_array(header.clock, 4, "clock")
    clock = header.clock
    _integer(clock.source, 0, codes.CLOCK_SNTP, "clock source")
    if clock.source == codes.CLOCK_NONE:
        if clock.utc_us is not None or clock.bound_us is not None or clock.age_s is not None:
            raise OutOfRange("clock: a time without a source")
    else:
        _integer(clock.utc_us, 0, U63, "utc_us")
        _integer(clock.bound_us, 0, U48, "bound_us")
        _integer(clock.age_s, 0, U32, "age_s")
    _octets(header.plan, 32, "plan")
    _octets(header.firmware, 32, "firmware")
    _octets(header.body, 32, "body")
    check_array(header.counts, 3, "counts")
    _integer(header.counts[0], 0, U16, "readings")
    _integer(header.counts[1], 0, U16, "events")
    _integer(header.counts[2], 0, BODY_MAX_OCTETS, "octets of the body")
    if header.anchor is not None:
        _octets(header.anchor, 32, "anchor")


def versioned_map(octets: bytes, size: int, newest: int, what: str) -> dict:
    """Return the map of octets with exactly the keys 0..size-1, of which 0 is a version, 1..newest."""
    fields = cbor.decode(octets)
    if not isinstance(fields, dict):
        raise WrongType("%s: wanted a map, got %s" % (what, type(fields).__name__))
    version = fields.get(0)
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= newest:
        raise UnknownVersion("%s: wanted at most version %d, got %r" % (what, newest, version))
    for key in fields:
        if key >= size:
            raise UnknownField("%s: no field %d in version %d" % (what, key, version))
    if len(fields) != size:
        raise OutOfRange("%s: wanted %d fields, got %d" % (what, size, len(fields)))
    return fields


# --- readings ---------------------------------------------------------------------------------------------------------

# The fields of a reading by key, from 0: (least, greatest) of an integer, (least, greatest, items) of an array of them,
# (octets,) of a string, () for one with rules of its own. A tuple, not a dict: frozen, it takes no memory of a board.
FIELDS = (
    (0, U8), (0, U48), (0, U48),  # target, start_us, span_us
    (0, U16), (0, U16), (0, U32, 4), (), (),  # sent, answered, rtt_us, samples, codes
    (0, U16), (0, U48), (0, U16),  # self_delayed, stall_us, late
    (0, U16), (0, U16), (0, U16),  # duplicate, reordered, malformed
    (0, U32), (0, U32, 2), (0, U16, 2), (0, U32, 5),  # jitter_us, pdv_us, lost_by_direction, burst
    (0, U32), (-300000, 12000), (988, 4500),  # burst_r_milli, r_centi, mos_milli
    (-127, 20), (0, 255), (0, U16), (0, U48), (0, U32),  # rssi_dbm, channel, reconnects, up_us, heap_free
    (0, U32), (0, U16), (1, 7), (0, U48, 2), (0, U48),  # uptime_s, restarts, wan_status, octets, counted_us
    (0, U32, 2), (0, U32), (-U48, U48), (0, U48),  # peak_kbits, in_errors, offset_us, root_distance_us
    (6,), (0, U32, 2), (0, U32, 2), (0, U32, 2),  # peer, resolve_us, connect_us, handshake_us
    (0, U48, 3), (6,), (0, U8),  # certificate, mapped, call
    (0, U32), (0, U32), (0, U32),  # register_us, post_dial_us, answer_us
    (0, U32, 3), (0, U32, 3), (0, U32),  # media_in, media_out, rtcp_rtt_us
)  # fmt: skip

# What speaks of samples, and so stands only beside SENT and ANSWERED.
_OF_SAMPLES = (
    RTT_US, SAMPLES, SELF_DELAYED, LATE, DUPLICATE, REORDERED, MALFORMED, JITTER_US, PDV_US, LOST_BY_DIRECTION, BURST,
    BURST_R_MILLI, R_CENTI, MOS_MILLI,
)  # fmt: skip


def check_reading(reading: dict) -> None:
    """Return nothing; raise a WireError unless the fields fit their types, ranges and one another."""
    check_fields(reading)
    check_relations(reading)


def check_relations(reading: dict) -> None:
    """Return nothing; raise OutOfRange unless its fields, each right by itself, fit one another."""
    for key in (TARGET, START_US, SPAN_US):
        if key not in reading:
            raise OutOfRange("%s is missing" % reading_name(key))
    if (SENT in reading) != (ANSWERED in reading):
        raise OutOfRange("sent and answered go together")
    if SENT in reading:
        _check_counts(reading)
    else:
        for key in _OF_SAMPLES:
            if key in reading:
                raise OutOfRange("%s without sent and answered" % reading_name(key))


def check_fields(reading: dict) -> None:
    """Return nothing; raise a WireError unless it is a map of a reading's fields, each of its type and range."""
    if not isinstance(reading, dict):
        raise WrongType("wanted a map, got %s" % type(reading).__name__)
    for key in reading:
        value = reading[key]
        if not isinstance(key, int) or not 0 <= key < len(FIELDS):
            raise UnknownField("no field %r" % key)
        field = FIELDS[key]
        if len(field) == 2:
            _integer(value, field[0], field[1], key)
        elif len(field) == 3:
            check_array(value, field[2], key)
            for item in value:
                _integer(item, field[0], field[1], key)
        elif field:
            _octets(value, field[0], key)
        elif key == SAMPLES:
            if not isinstance(value, bytes):
                raise WrongType("samples: wanted octets, got %s" % type(value).__name__)
        else:
            _check_codes(value)


def _check_counts(reading: dict) -> None:
    sent = reading[SENT]
    answered = reading[ANSWERED]
    if answered < 0 or answered + reading.get(SELF_DELAYED, 0) > sent:
        raise OutOfRange("answered %d and self_delayed of %d sent" % (answered, sent))
    if reading.get(LATE, 0) > answered:
        raise OutOfRange("late %d of %d answered" % (reading[LATE], answered))
    rtt = reading.get(RTT_US)
    if (rtt is not None) != (answered > 0):
        raise OutOfRange("rtt_us stands if and only if something answered")
    if rtt is not None and not (rtt[0] <= rtt[1] <= rtt[3] and rtt[0] <= rtt[2] <= rtt[3]):
        raise OutOfRange("rtt_us: wanted min <= mean, p95 <= max")
    if SAMPLES in reading:
        _check_samples(reading[SAMPLES], reading)


def _check_samples(value: bytes, reading: dict) -> None:
    if len(value) != 2 * reading[SENT]:
        raise OutOfRange("samples: wanted 2 octets for each of %d sent, got %d" % (reading[SENT], len(value)))
    answered = void = 0
    last = 0
    for fate, at_us in samples(value):
        if at_us < last:
            raise OutOfRange("samples: out of order")
        last = at_us
        if fate == codes.FATE_VOID:
            void += 1
        elif fate != codes.FATE_LOST:
            answered += 1
    if answered != reading[ANSWERED] or void != reading.get(SELF_DELAYED, 0):
        raise OutOfRange("samples: their fates are not those counted")


def _check_codes(value: list) -> None:
    check_array(value, None, "codes")
    last = -U16
    for pair in value:
        check_array(pair, 2, "codes")
        _integer(pair[0], -U16, U16, "code")
        _integer(pair[1], 1, U16, "count of a code")
        if pair[0] <= last:
            raise OutOfRange("codes: out of order or twice")
        last = pair[0]


def samples(octets: bytes) -> list[tuple[int, int]]:
    """Return [(fate, at_us), ...] of a reading's SAMPLES; at_us counts from the reading's start, in 10 ms steps."""
    result = []
    for i in range(0, len(octets) - 1, 2):
        word = octets[i] << 8 | octets[i + 1]
        result.append((word >> 14, (word & 0x3FFF) * SAMPLE_UNIT_US))
    return result


def pack_sample(fate: int, at_us: int) -> bytes:
    """Return the two octets of one sample sent at_us (0..SAMPLE_MAX_US) after its reading's start."""
    if at_us < 0 or at_us > SAMPLE_MAX_US:
        raise OutOfRange("sample: wanted 0..%d us, got %d" % (SAMPLE_MAX_US, at_us))
    word = fate << 14 | at_us // SAMPLE_UNIT_US
    return bytes((word >> 8, word & 0xFF))


# Details of an event by kind, from 0, which none has: (least, greatest) of an integer, the octets of a string.
EVENT_DETAILS: "tuple[tuple | None, ...]" = (
    None,
    ((0, codes.RESET_BROWNOUT), (0, U16), (0, U32), (0, U63)),  # boot
    ((-U63, U63),),  # link down
    ((-127, 20), (0, 255)),  # link up
    (4, 4, 4),  # address
    ((-U63, U63), (0, U48), (0, codes.CLOCK_SNTP)),  # clock set
    ((-U63, U63),),  # clock step
    ((0, U8), (-U63, U63)),  # clock refused
    (32,),  # plan
    ((1, U32), (1, U32), (1, U32)),  # trimmed
    ((0, U8), (0, U8), (0, U32)),  # task
    ((0, U8), (0, 1)),  # state
    ((0, U8), (0, U32)),  # fault
    ((0, U63), (0, U8), (0, U8)),  # command
    ((0, U8), 4),  # public address
    ((0, 1),),  # backup
    ((0, 255), (0, 255)),  # roamed
    ((1, 255),),  # safe mode
)


def check_event(event: list) -> None:
    """Return nothing; raise a WireError unless the event is [kind, at_us, detail, ...] as EVENT_DETAILS has it."""
    check_array(event, None, "event")
    if len(event) < 2:
        raise OutOfRange("wanted kind and at_us")
    _integer(event[0], 0, U8, "kind")
    _integer(event[1], 0, U48, "at_us")
    details = EVENT_DETAILS[event[0]] if event[0] < len(EVENT_DETAILS) else None
    if details is None:
        raise UnknownField("no event of kind %d" % event[0])
    check_array(event, 2 + len(details), codes.EVENT_NAMES[event[0]])
    for value, want in zip(event[2:], details):
        if isinstance(want, int):
            _octets(value, want, codes.EVENT_NAMES[event[0]])
        else:
            _integer(value, want[0], want[1], codes.EVENT_NAMES[event[0]])
