"""RTP and RTCP of a test call: packets, an incoming stream's account, and our marks found again in what comes back."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from on_sockets import NEEDS_SOCKETS, run

from witness.probes import rtp


def packet(
    sequence: int, timestamp: int = 0, payload: bytes = bytes(160), first: int = 0x80, more: bytes = b""
) -> bytes:
    return struct.pack(">BBHII", first, 8, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, 0xABCD) + more + payload


def stream(*sequences: int) -> rtp.Incoming:
    packets = [rtp.decode(packet(n, 160 * n)) for n in sequences]
    incoming = rtp.Incoming(packets[0])
    for each in packets:
        incoming.note(each, 20_000 * each.sequence)
    return incoming


def test_what_stands_before_and_after_the_sound_is_no_sound():
    sound = bytes(range(160))
    assert rtp.decode(packet(7, 9, sound)) == (8, 7, 9, 0xABCD, sound)
    assert rtp.decode(packet(7, 9, sound, 0x82, bytes(8))).payload == sound
    assert rtp.decode(packet(7, 9, sound, 0x90, b"\xbe\xde\x00\x01" + bytes(4))).payload == sound
    assert rtp.decode(packet(7, 9, sound + b"\0\0\x03", 0xA0)).payload == sound
    for wrong in (b"", packet(1)[:11], packet(1, first=0x40), packet(1, payload=b"\xff", first=0xA0)):
        with pytest.raises(rtp.Malformed):
            rtp.decode(wrong)


def test_the_account_of_a_stream_goes_on_over_the_wrap_of_its_numbers():
    incoming = stream(65533, 65534, 1, 0, 3)
    assert (incoming.expected, incoming.received) == (7, 5)
    lost, highest = struct.unpack(">4xII", incoming.report(0)[:12])
    assert (lost >> 24, lost & 0xFFFFFF, highest) == (256 * 2 // 7, 2, 65536 + 3)
    assert struct.unpack(">4xI", incoming.report(0)[:8])[0] >> 24 == 0  # nothing since the report before


def test_even_arrivals_have_no_jitter_and_one_late_packet_has_a_sixteenth_of_it():
    incoming = stream(0, 1, 2)
    assert incoming.jitter_us == 0
    incoming.note(rtp.decode(packet(3, 480)), 60_000 + 16_000)
    assert incoming.jitter_us == 1_000


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 1500), st.integers(0, 10**12))
def test_our_reports_are_read_back(ssrc: int, sent: int, now_us: int):
    incoming = stream(10, 11, 13)
    incoming.note_sender_report(0x12345678, now_us)
    octets = rtp.encode_report(ssrc, now_us << 20, 160 * sent, (sent, 160 * sent), incoming, now_us + 65_536)
    assert rtp.is_rtcp(octets)
    assert len(octets) % 4 == 0
    (report,), ntp = rtp.decode_reports(octets, 0xABCD)
    assert (report.lost, report.highest, report.lsr) == (1, 13, 0x12345678)
    assert report.dlsr == (65_536 << 16) // 1_000_000
    assert ntp == (now_us << 20) >> 16 & 0xFFFFFFFF
    assert rtp.decode_reports(rtp.encode_goodbye(ssrc), ssrc) == ([], None)


@given(st.binary(max_size=200))
def test_whatever_comes_is_rtp_rtcp_or_malformed(octets: bytes):
    for read in (rtp.decode, lambda each: rtp.decode_reports(each, 1)):
        with contextlib.suppress(rtp.Malformed):
            assert read(b"\x80" + octets) is not None


MARKS = """
from witness.probes import call_media
from witness.probes.window import Window
media = sockets.Datagram(socket, clock, link, 512, None, os.urandom)
class Dialog:
    hung_up = False
window = Window(3, 20000, 1000000, False)
here = media.endpoint("127.0.0.1", media.port)
stream = call_media.Media(media, clock, os.urandom, (here, here), window, Dialog(), 8)
packets = []
for n in range(3):
    window.note_sent(20000 * n)
    packets.append(bytes(stream.packet(n, 0)))
sound = b"".join([each[12:] for each in packets])
"""


@NEEDS_SOCKETS
@pytest.mark.parametrize("offset", [0, 1, 7, 11, 100, 159])
def test_our_marks_are_found_however_the_sound_is_cut_anew(offset: int):
    told: list[Any] = run(
        MARKS,
        f"""
sound = bytes({offset}) + sound + bytes({160 - offset})
stream._start_us = clock.now_us()
for n in range(4):
    octets = bytes((0x80, 8, 0, n)) + bytes(8) + sound[160 * n : 160 * n + 160]
    media.source = here
    stream.accept(octets, clock.now_us() + 50000)
tell([window.outstanding, stream.echoed, stream.incoming.received])
""",
    )
    assert told == [[0, True, 4]]


@NEEDS_SOCKETS
def test_the_last_packets_of_the_call_before_are_no_media_of_this_one():
    told = run(
        MARKS,
        """
stream.past_ssrc = 7
late = bytes((0x80, 8, 0, 1)) + bytes((0, 0, 0, 0, 0, 0, 0, 7)) + bytes(160)
media.source = None
tell([stream.accept(late, clock.now_us()), stream.incoming is None])
media.source = here  # where this call's media is to come from: a far end that never changes its source
tell([stream.accept(late, clock.now_us()), stream.incoming.received])
""",
    )
    assert told == [[False, True], [True, 1]]


@NEEDS_SOCKETS
def test_sound_that_is_not_ours_is_no_echo_and_what_is_no_rtp_is_malformed():
    told = run(
        MARKS,
        """
media.source = here
stream.accept(bytes((0x80, 8, 0, 1)) + bytes(8) + bytes(range(160)), clock.now_us())
stream.accept(b"hello", clock.now_us())
media.source = None
tell([stream.accept(bytes((0x80, 18, 0, 2)) + bytes(168), clock.now_us()), stream.echoed, window.outstanding,
      window.malformed])
""",
    )
    assert told == [[False, False, 3, 1]]
