"""The session-reflector: octets as RFC 8762 and 8972 draw them, numbers of its own, no answer to strangers."""

from __future__ import annotations

import ipaddress
import json
import socket
import struct
import threading
from pathlib import Path

import pytest

from linewitness import reflector

PACKETS = {
    p["id"]: p
    for p in json.loads((Path(__file__).parent.parent / "vectors/stamp/packets.json").read_text())["example_packets"]
}
T2, T3 = bytes.fromhex("e8fe6f8042000000"), bytes.fromhex("e8fe6f8042100000")
TIMES = {"received": T2, "sent": T3, "estimate": 0x9664, "ttl": 61}
LOCAL = (ipaddress.ip_network("127.0.0.0/8"),)


def packet(name: str) -> bytes:
    return bytes.fromhex(PACKETS[name]["hex"])


def key(name: str) -> bytes:
    return bytes.fromhex(PACKETS[name]["hmac_key_hex"])


@pytest.mark.parametrize(
    ("asked", "answered", "sequence"), [("u1", "u2", None), ("u1", "u3", 7)], ids=["stateless", "stateful"]
)
def test_an_unauthenticated_reply_is_byte_exact(asked: str, answered: str, sequence: int | None) -> None:
    assert reflector.reply(packet(asked), sequence=sequence, **TIMES) == packet(answered)


def test_an_authenticated_reply_is_byte_exact() -> None:
    assert reflector.reply(packet("a1"), sequence=None, key=key("a1"), **TIMES) == packet("a2")


def test_a_packet_whose_hmac_fails_gets_no_reply() -> None:
    for i in (0, 20, 95, 96, 111):
        altered = bytearray(packet("a1"))
        altered[i] ^= 1
        assert reflector.reply(bytes(altered), sequence=None, key=key("a1"), **TIMES) is None
    assert reflector.reply(packet("u1"), sequence=None, key=key("a1"), **TIMES) is None


def test_an_hmac_tlv_that_holds_is_answered_with_one_that_holds() -> None:
    out = reflector.reply(packet("a3"), sequence=9, key=key("a3"), **TIMES)
    assert out is not None
    tlvs = out[112:]
    assert len(out) == len(packet("a3"))
    assert tlvs[0] & reflector.FLAG_INTEGRITY == 0
    assert tlvs[-16:] == reflector._mac(key("a3"), struct.pack(">I", 9) + tlvs[:8])


def test_an_hmac_tlv_that_fails_flags_every_tlv() -> None:
    altered = packet("a3")[:-1] + bytes((packet("a3")[-1] ^ 1,))
    out = reflector.reply(altered, sequence=0, key=key("a3"), **TIMES)
    assert out is not None
    assert out[112] & reflector.FLAG_INTEGRITY
    assert out[120] & reflector.FLAG_INTEGRITY


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("0001 0004 01020304", "0001 0004 01020304"),
        ("8001 0004 01020304", "0001 0004 01020304"),
        ("80c8 0004 01020304", "80c8 0004 01020304"),
        ("80c8 0040 00000000", "40c8 0040 00000000"),
        ("8001 0001 ff 80c8 0000 aa", "0001 0001 ff 80c8 0000 aa"),
    ],
    ids=["padding", "padding flagged by the sender", "unknown", "runs past the packet", "two and a stray octet"],
)
def test_tlvs_come_back_with_the_reflectors_flags(asked: str, answered: str) -> None:
    out = reflector.reply(packet("u1") + bytes.fromhex(asked), sequence=None, **TIMES)
    assert out is not None
    assert out[44:] == bytes.fromhex(answered)


@pytest.mark.parametrize("length", [0, 1, 14, 43])
def test_a_packet_below_44_octets_gets_no_reply_as_it_would_be_longer(length: int) -> None:
    assert reflector.reply(bytes(length), sequence=None, **TIMES) is None


def test_the_error_estimate_covers_the_error_and_never_has_a_zero_multiplier() -> None:
    for error_us in (0, 1, 5, 100, 1_000, 97_656, 999_999, 10_000_000):
        estimate = reflector.error_estimate(error_us)
        multiplier, scale = estimate & 0xFF, estimate >> 8 & 0x3F
        assert estimate & 0x8000
        assert multiplier
        assert error_us * 0.999 <= multiplier * 2.0 ** (scale - 32) * 1e6 <= error_us * 1.02 + 0.001
    assert reflector.error_estimate(None) == 0x0001


def answer(ours: reflector.Reflector, source: tuple[str, int], octets: bytes, now_s: float = 0.0) -> bytes | None:
    return ours.answer(octets, source, 64, 0, lambda: 0, now_s)


def test_each_session_has_its_own_numbers() -> None:
    ours = reflector.Reflector(allow=LOCAL)
    numbers = [answer(ours, ("127.0.0.1", port), packet("u1"))[:4] for port in (5000, 5001, 5000, 5000)]
    assert [int.from_bytes(n, "big") for n in numbers] == [0, 0, 1, 2]
    other_ssid = packet("u1")[:14] + b"\x00\x07" + packet("u1")[16:]
    assert answer(ours, ("127.0.0.1", 5000), other_ssid)[:4] == bytes(4)


def test_a_session_that_was_idle_starts_again() -> None:
    ours = reflector.Reflector(allow=LOCAL)
    answer(ours, ("127.0.0.1", 5000), packet("u1"))
    assert answer(ours, ("127.0.0.1", 5000), packet("u1"), now_s=2.0)[:4] == bytes((0, 0, 0, 1))
    assert answer(ours, ("127.0.0.1", 5000), packet("u1"), now_s=1000.0)[:4] == bytes(4)


def test_a_flood_of_sources_does_not_fill_the_memory() -> None:
    ours = reflector.Reflector(allow=LOCAL)
    for n in range(reflector.MAX_SESSIONS + 500):
        answer(ours, ("127.0.0.1", n), packet("u1"), now_s=n / 1000)
    assert len(ours.sessions) <= reflector.MAX_SESSIONS


def test_a_stranger_gets_no_reply_and_is_counted() -> None:
    ours = reflector.Reflector(allow=(ipaddress.ip_network("192.0.2.0/24"),))
    assert answer(ours, ("127.0.0.1", 5000), packet("u1")) is None
    assert ours.counters.refused_source == 1
    assert ours.counters.reflected == 0


def test_with_a_key_and_networks_either_is_enough_and_neither_is_not() -> None:
    ours = reflector.Reflector(allow=(ipaddress.ip_network("192.0.2.0/24"),), key=key("a1"))
    forged = packet("a1")[:-1] + bytes([packet("a1")[-1] ^ 1])
    known, stranger = ("192.0.2.7", 5000), ("127.0.0.1", 5000)
    authenticated = answer(ours, stranger, packet("a1"))
    assert authenticated is not None
    assert reflector.authentic(authenticated, key("a1"))
    assert answer(ours, stranger, packet("u1")) is None
    assert answer(ours, stranger, forged) is None
    assert len(ours.sessions) == 1  # who is refused takes no memory
    plain = answer(ours, known, packet("u1"))
    assert plain is not None
    assert (len(plain), reflector.authentic(plain, key("a1"))) == (len(packet("u1")), False)
    assert (ours.counters.reflected, ours.counters.refused_packet) == (2, 2)


@pytest.mark.parametrize("octets", [0, 1, 14, 43, 44, 45, 60, 111, 112, 113, 172, 1400])
def test_no_reply_is_longer_than_what_it_answers(octets: int) -> None:
    for ours in (reflector.Reflector(allow=LOCAL), reflector.Reflector(key=key("a1"))):
        base = (packet("u1") if ours.key is None else packet("a1"))[:octets]
        asked = base + b"\x80\x01\x00\x08" * ((octets - len(base)) // 4)
        out = answer(ours, ("127.0.0.1", 5000), asked)
        assert out is None or len(out) <= len(asked)


def test_over_a_real_socket_the_reply_carries_the_ttl_and_the_kernels_time() -> None:
    ours = reflector.Reflector(allow=LOCAL, error_us=1000)
    stop = threading.Event()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        server.bind(("127.0.0.1", 0))
        sender.settimeout(5)
        thread = threading.Thread(target=reflector.serve, args=(ours, server, stop.is_set))
        thread.start()
        try:
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 99)
            for n in range(3):
                sender.sendto(packet("u1") + bytes(128), server.getsockname())
                out = sender.recv(2048)
                t3, t2 = int.from_bytes(out[4:12], "big"), int.from_bytes(out[16:24], "big")
                assert len(out) == 172
                assert int.from_bytes(out[:4], "big") == n
                assert out[40] == 99
                assert 0 <= t3 - t2 < 1 << 32
        finally:
            stop.set()
            thread.join()
