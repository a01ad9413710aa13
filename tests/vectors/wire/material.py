"""What the golden vectors are made of: the keys of RFC 8032 7.1, a plan, three bodies, a chain of three batches.

TEST 1 is the witness's key, TEST 2 the fleet's, TEST 3 a stranger's. Nothing is random.
"""

import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linewitness_wire import bodies, cbor, codes, cose, plan, record

SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
FLEET_SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
OTHER_SEED = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
SECRET = bytes(range(32))
SITE, WITNESS = "leeds", "front-desk"
BATCH_US = 60_000_000
L = 2**252 + 27742317777372353535851937790883648493  # order of the base point (RFC 8032 5.1)
SMALL_ORDER = bytes([1]) + bytes(31)  # the neutral element
ALL_ONES_Y = bytes([0xEE]) + b"\xff" * 30 + b"\x7f"  # y = p + 1: a second spelling of y = 1


def public(seed):
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def sign(payload, seed=SEED, aad=None, key_id=None):
    key_id = key_id or cose.kid(public(seed))
    aad = cose.aad(SITE, WITNESS) if aad is None else aad
    message = cose.to_be_signed(cose.protected(key_id), aad, payload)
    return cose.join(key_id, payload, Ed25519PrivateKey.from_private_bytes(seed).sign(message))


PLAN = plan.Plan(
    SITE, WITNESS, 1_790_000_000_000_000, 60,
    [
        plan.Target("gateway", codes.SEGMENT_ROUTER, codes.METHOD_ICMP, codes.ROLE_SUBJECT, "gateway", 0,
                    5000, 1000, 2000, {}),
        plan.Target("edge", codes.SEGMENT_PROVIDER, codes.METHOD_SIP_UDP, codes.ROLE_SUBJECT, "198.51.100.5", 5060,
                    10000, 1000, 2000, {plan.OPTION_NAME: "sip.example.net"}),
    ],
    3, 3, ["192.0.2.53"], ["192.0.2.123", "198.51.100.123", "203.0.113.123"],
)  # fmt: skip
PLAN_OCTETS = plan.encode_plan(PLAN)
FIRMWARE = hashlib.sha256(b"linewitness firmware of the vectors").digest()

GATEWAY = {0: 0, 1: 0, 2: 10_000_000, 3: 2, 4: 2, 5: [410, 455, 500, 500], 9: 120}
EDGE = {0: 1, 1: 1_000_000, 2: 10_000_000, 3: 2, 4: 1, 5: [20_125, 20_125, 20_125, 20_125],
        6: record.pack_sample(codes.FATE_ANSWERED, 0) + record.pack_sample(codes.FATE_LOST, 5_000_000),
        7: [[200, 1]]}  # fmt: skip
WINDOW = {0: 1, 1: 20_000_000, 2: 5_000_000, 3: 250, 4: 240, 5: [20_000, 20_400, 22_000, 60_000], 8: 2, 9: 900, 10: 1,
          11: 0, 12: 3, 13: 0, 14: 310, 15: [1_900, 39_000], 16: [6, 2], 17: [12, 4, 60, 4_000, 1], 18: 1_200,
          19: 8_431, 20: 4_150}  # fmt: skip
LINK = {0: 0, 1: 0, 2: 60_000_000, 21: -61, 22: 6, 23: 1, 24: 59_000_000, 25: 102_400}
BODIES = [
    record.Body([GATEWAY], [[codes.EVENT_BOOT, 0, codes.RESET_POWER, 1, codes.CAN_RAW_ICMP | codes.CAN_TLS, 900_000],
                            [codes.EVENT_PLAN, 1_000_000, hashlib.sha256(PLAN_OCTETS).digest()]]),
    record.Body([GATEWAY, EDGE, WINDOW, LINK], []),
    record.Body([], [[codes.EVENT_TRIMMED, 5, 2, 2, 1], [codes.EVENT_STATE, 7, 1, 1]]),
]  # fmt: skip
ANCHOR = hashlib.sha256(b"a timestamp response").digest()


def header_fields(seq, previous, body, **changes):
    """The map of a valid header, with fields changed by number (f5=...) or left out (f5=...)."""
    synchronised = seq > 1
    octets = bodies.encode(body, BATCH_US)
    fields = {
        0: 1, 1: seq, 2: previous, 3: 7, 4: (seq - 1) * BATCH_US, 5: seq * BATCH_US,
        6: [1_790_000_000_000_000 + seq * BATCH_US, 25_000, 1, 30] if synchronised else [None, None, 0, None],
        7: hashlib.sha256(PLAN_OCTETS).digest(), 8: FIRMWARE, 9: hashlib.sha256(octets).digest(),
        10: [len(body.readings), len(body.events), len(octets)], 11: ANCHOR if seq > 2 else None,
    }  # fmt: skip
    for name, value in changes.items():
        fields[int(name[1:])] = value
    return fields


def make_chain(bodies=BODIES, start=1, previous=record.NO_PREVIOUS, **last):
    """COSE_Sign1 of each body in turn; the changes are made to the last header."""
    batches = []
    for seq, body in enumerate(bodies, start):
        changes = last if seq == start + len(bodies) - 1 else {}
        batches.append(sign(cbor.encode(header_fields(seq, previous, body, **changes))))
        previous = cose.digest(batches[-1])
    return batches


CHAIN = make_chain()
HEADER = header_fields(2, cose.digest(CHAIN[0]), BODIES[1])
HEADER_OCTETS = cbor.encode(HEADER)
BODY_OCTETS = bodies.encode(BODIES[1], BATCH_US)


def version_1(body):
    """The octets of a body as they were written before readings left anything out."""
    return cbor.encode({0: 1, 1: body.readings, 2: body.events})


def changed(fields, **changes):
    """A copy of a map with fields replaced (f3=...); a field set to `changed` itself is left out."""
    result = dict(fields)
    for name, value in changes.items():
        key = int(name[1:])
        if value is changed:
            del result[key]
        else:
            result[key] = value
    return result


def flip(octets, index, bit=0):
    return octets[:index] + bytes([octets[index] ^ 1 << bit]) + octets[index + 1 :]


def field_starts(octets):
    """Index of each key of a map with keys 0.. below 24 pairs."""
    starts, i = [], 1
    while i < len(octets):
        starts.append(i)
        _, i = cbor.decode_prefix(octets, i + 1)
    return starts
