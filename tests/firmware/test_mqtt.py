"""MQTT packets octet for octet, and what a broker may not send."""

from __future__ import annotations

import struct

import pytest

from witness.mqtt import Gone, connect_packet, publish_head, read_publish, subscribe_packet


def test_connect_is_as_section_3_1_has_it() -> None:
    packet = connect_packet("c", "u", "p", "t", b"gone")
    flags = 0x80 | 0x40 | 0x20 | 0x08 | 0x04 | 0x02  # user, password, will retained, will QoS 1, will, clean
    body = b"\0\x04MQTT\x04" + bytes((flags,)) + b"\0\x1e\0\x01c\0\x01t\0\x04gone\0\x01u\0\x01p"
    assert packet == b"\x10" + bytes((len(body),)) + body


def test_without_user_and_password_their_flags_are_clear() -> None:
    assert connect_packet("c", "", "", "t", b"")[9] == 0x2E


@pytest.mark.parametrize("octets", [0, 100, 127 - 5, 128 - 5, 16_383 - 5, 16_384 - 5, 200_000])
def test_the_remaining_length_has_seven_bits_an_octet(octets: int) -> None:
    head = publish_head("t", 7, octets, False)
    assert head[0] == 0x32
    length = shift = 0
    at = 1
    while True:
        length |= (head[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not head[at - 1] & 0x80:
            break
    assert length == 5 + octets
    assert head[at:] == b"\0\x01t\0\x07"


def test_retain_is_the_lowest_flag() -> None:
    assert publish_head("t", 1, 0, True)[0] == 0x33


def test_subscribe_asks_for_qos_1() -> None:
    assert subscribe_packet(3, ["a", "b"]) == b"\x82\x0a\0\x03\0\x01a\x01\0\x01b\x01"


def test_a_publish_is_read_with_and_without_identifier() -> None:
    assert read_publish(2, b"\0\x01t\0\x09hello") == ("t", 9, b"hello")
    assert read_publish(0, b"\0\x01thello") == ("t", None, b"hello")


@pytest.mark.parametrize("body", [b"", b"\0", b"\0\x05ab", b"\0\x01t\0", struct.pack(">H", 2) + b"\xff\xfe\0\x01"])
def test_a_publish_that_is_none_ends_the_connection(body: bytes) -> None:
    with pytest.raises(Gone):
        read_publish(2, body)
