"""DNS messages are read strictly, and the resolver never lets DNS trouble look like a target's."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machines import MACHINES, call
from on_sockets import CONTROL, NEEDS_SOCKETS, run
from peers import dns_record, dns_response, udp_peer

from witness import dns_message

MODULE = "witness.dns_message"
# The query for example.com as RFC 1035 4.1 lays it out.
QUERY = bytes.fromhex("123401000001000000000000076578616d706c6503636f6d0000010001")
NAME = b"\x07example\x03com\0"


@pytest.mark.parametrize("machine", MACHINES)
def test_a_query_is_byte_exact(machine):
    assert call(machine, [(MODULE, "encode_query", (0x1234, "example.com", 1))]) == [QUERY]


@pytest.mark.parametrize("machine", MACHINES)
def test_names_that_are_none_are_refused_by_name(machine):
    bad = ["", "a..b", "a.", "x" * 64 + ".com", "bücher.example", ".".join(["x" * 63] * 4)]
    got = call(machine, [(MODULE, "encode_query", (1, name, 1)) for name in bad])
    assert [fault["error"] for fault in got] == ["BadName"] * len(bad)
    assert got[-1]["text"].endswith("longer than 255 octets")


@pytest.mark.parametrize("machine", MACHINES)
def test_addresses_are_read_along_the_aliases_of_the_name_asked(machine):
    alias = dns_record(5, 300, b"\x03cdn\x07example\x03net\0")
    cdn = b"\x03CDN\x07example\x03net\0"
    reply = dns_response(
        QUERY,
        records=(
            dns_record(1, 9, bytes([203, 0, 113, 9]), b"\x05other\x03org\0"),
            alias,
            dns_record(1, 60, bytes([192, 0, 2, 1]), cdn),
            dns_record(1, 30, bytes([192, 0, 2, 2]), cdn),
        ),
    )
    assert call(machine, [(MODULE, "decode_reply", (reply, QUERY))]) == [
        [0, False, [[60, "192.0.2.1"], [30, "192.0.2.2"]]]
    ]


@pytest.mark.parametrize("machine", MACHINES)
def test_services_are_read_whole(machine):
    query = dns_message.encode_query(7, "_sip._udp.example.com", 33)
    data = struct.pack(">HHH", 10, 60, 5060) + b"\x04edge" + b"\xc0\x16"
    reply = dns_response(query, records=(dns_record(33, 300, data),))
    assert call(machine, [(MODULE, "decode_reply", (reply, query))]) == [
        [0, False, [[300, 10, 60, 5060, "edge.example.com"]]]
    ]


MALFORMED = {
    "another id": dns_response(QUERY, number=b"\x12\x35"),
    "a query": QUERY,
    "too short": QUERY[:11],
    "another question": dns_response(QUERY, question=QUERY[12:].replace(b"com", b"org")),
    "no question": QUERY[:2] + b"\x81\x80" + bytes(8),
    "another opcode": QUERY[:2] + b"\xa9\x80" + dns_response(QUERY)[4:],
    "record cut off": dns_response(QUERY, records=(dns_record(1, 60, bytes(4)),))[:-5],
    "data cut off": dns_response(QUERY, records=(dns_record(1, 60, bytes(4)),))[:-1],
    "address of 5 octets": dns_response(QUERY, records=(dns_record(1, 60, bytes(5)),)),
    "pointer to itself": dns_response(QUERY, records=(dns_record(1, 60, bytes(4), b"\xc0\x1d"),)),
    "pointer past the end": dns_response(QUERY, records=(dns_record(1, 60, bytes(4), b"\xff\xff"),)),
    "unknown label kind": dns_response(QUERY, records=(dns_record(1, 60, bytes(4), b"\x40"),)),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_no_reply_to_the_query_is_malformed(machine):
    got = call(machine, [(MODULE, "decode_reply", (octets, QUERY)) for octets in MALFORMED.values()])
    assert {name: fault["error"] for name, fault in zip(MALFORMED, got, strict=True)} == dict.fromkeys(
        MALFORMED, "Malformed"
    )


@given(st.binary(max_size=80))
def test_no_octets_do_anything_but_decode_or_be_malformed(tail):
    octets = QUERY[:2] + b"\x81\x80\0\x01\0\x02\0\0\0\0" + QUERY[12:] + tail
    try:
        reply = dns_message.decode_reply(octets, QUERY)
    except dns_message.Malformed:
        return
    assert reply.rcode == 0


def test_dotted_addresses_are_known_from_names():
    assert [dns_message.is_dotted(h) for h in ("192.0.2.1", "0.0.0.0", "255.255.255.255")] == [True] * 3
    assert not any(dns_message.is_dotted(h) for h in ("192.0.2", "192.0.2.256", "a.b.c.d", "1.2.3.4.", "1.2.3.4.5", ""))


# --- the resolver, on real sockets ------------------------------------------------------------------------------------

RESOLVER = (
    CONTROL
    + """
from witness.resolver import Resolver, Unresolved
async def ask(resolver, name):
    try:
        tell(list(await resolver.address(name)))
    except Unresolved as e:
        tell(str(e))
"""
)


def address_record(n: int, ttl_s: int = 60) -> tuple[bytes, ...]:
    return (dns_record(1, ttl_s, bytes([192, 0, 2, n])),)


@NEEDS_SOCKETS
def test_a_name_is_asked_once_within_its_ttl_and_a_dotted_address_never():
    with udp_peer(lambda query, n: [dns_response(query, records=address_record(n))]) as (port, received):
        told = run(
            RESOLVER,
            f"""
resolver = Resolver(control, clock, os.urandom, ["127.0.0.1"], {port})
await asyncio.gather(*[ask(resolver, name) for name in ("example.com", "EXAMPLE.com", "198.51.100.7")])
""",
        )
    assert sorted(told) == [["192.0.2.0", False]] * 2 + [["198.51.100.7", False]]
    assert len(received) == 1


@NEEDS_SOCKETS
def test_ids_are_random_and_the_next_server_is_asked_after_a_failure():
    with udp_peer(lambda query, n: [dns_response(query, 2)]) as (port, received):
        told = run(
            RESOLVER,
            f"""
resolver = Resolver(control, clock, os.urandom, ["127.0.0.1", "127.0.0.1"], {port})
await ask(resolver, "a.example")
await ask(resolver, "b.example")
await ask(resolver, "b.example")
tell(resolver.failures)
""",
        )
    assert told == ["a.example: RCODE 2", "b.example: RCODE 2", "b.example: RCODE 2", 0]
    # Both servers for each name; the third call fell into the pause after a failure.
    assert len(received) == 4
    assert len({query[:2] for query in received}) >= 3  # two of four random ids may meet, hardly three


@NEEDS_SOCKETS
def test_while_dns_is_down_the_stale_answer_is_given_and_said_to_be_stale():
    def answer(query: bytes, n: int) -> list[bytes]:
        return [dns_response(query, records=address_record(7))] if n == 0 else []

    with udp_peer(answer) as (port, received):
        told = run(
            RESOLVER,
            f"""
from witness import resolver as module
module.MIN_TTL_S, module.TIMEOUT_US = 0, 200_000
resolver = Resolver(control, clock, os.urandom, ["127.0.0.1"], {port})
for _ in range(3):
    await ask(resolver, "example.com")
    resolver._entries[("example.com", 1)].expires_us = 0
await ask(resolver, "never.example")
tell(resolver.failures)
""",
        )
    assert told == [
        ["192.0.2.7", False],
        ["192.0.2.7", True],
        ["192.0.2.7", True],
        "never.example: no answer",
        2,
    ]
    assert len(received) == 3


@NEEDS_SOCKETS
def test_an_answer_of_another_server_or_to_another_question_is_not_taken():
    def answer(query: bytes, n: int) -> list[bytes]:
        return [
            dns_response(query, records=address_record(66), number=bytes([query[0] ^ 1, query[1]])),
            dns_response(query, records=address_record(66), question=b"\x04evil\0\0\x01\0\x01"),
            dns_response(query, records=address_record(1)),
            dns_response(query, records=address_record(66)),
        ]

    with udp_peer(answer) as (port, _):
        told = run(
            RESOLVER,
            f"""
resolver = Resolver(control, clock, os.urandom, ["127.0.0.1"], {port})
await ask(resolver, "example.com")
await ask(resolver, "example.com")
""",
        )
    assert told == [["192.0.2.1", False]] * 2
