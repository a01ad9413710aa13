"""STAMP packets are those of RFC 8762 and 8972 to the octet; a window counts as the RFCs of loss and delay do."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machines import MACHINES, call

from witness.probes import stamp_packet

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/stamp/packets.json").read_text())
PACKETS = {v["id"]: v for v in VECTORS["example_packets"]}
MODULE = "witness.probes.stamp_packet"
KEY = bytes.fromhex(PACKETS["a1"]["hmac_key_hex"])
T1 = 0xE8FE6F8040000000


def octets(name: str) -> bytes:
    return bytes.fromhex(PACKETS[name]["hex"])


@pytest.mark.parametrize("machine", MACHINES)
def test_sender_packets_are_byte_exact(machine):
    padding = stamp_packet.padded(64, 44)
    got = call(
        machine,
        [
            (MODULE, "encode_sender", (1, T1, 0, b"", 0x0001)),
            (MODULE, "encode_sender", (2, 0x6553F1000EE6B280, 0, b"", 0xD664)),
            (MODULE, "encode_sender", (3, T1, 0xBEEF, padding, 0x0001)),
            (MODULE, "encode_authenticated", (1, T1, 0, b"", KEY, 0x9664)),
        ],
    )
    assert got == [octets("u1"), octets("u4"), octets("u5"), octets("a1")]


@pytest.mark.parametrize("machine", MACHINES)
def test_reflected_packets_are_read_field_by_field(machine):
    jobs = [(MODULE, "decode_reflected", (octets(name),)) for name in ("u2", "u3", "u7", "u9", "u10", "u11", "u12")]
    jobs.append((MODULE, "decode_reflected", (octets("a2"), KEY)))
    t2, t3 = 0xE8FE6F8042000000, 0xE8FE6F8042100000
    assert call(machine, jobs) == [
        [1, 0, t3, t2, 0x9664, 1, T1],
        [7, 0, t3, t2, 0x9664, 1, T1],
        [4, 0xBEEF, t3, t2, 0x9664, 4, T1],
        [5, 0xBEEF, t3, t2, 0x9664, 5, T1],
        [6, 0xBEEF, t3, t2, 0x9664, 6, T1],
        [8, 0xBEEF, t3, t2, 0x9664, 8, T1],
        [9, 0xBEEF, t3, t2, 0x9664, 9, T1],
        [1, 0, t3, t2, 0x9664, 1, T1],
    ]


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_no_reflected_packet_is_refused_by_its_fault(machine):
    wrong_mac = octets("a2")[:-1] + bytes([octets("a2")[-1] ^ 1])
    no_multiplier = octets("u2")[:13] + b"\0" + octets("u2")[14:]
    no_sender_multiplier = octets("u2")[:37] + b"\0" + octets("u2")[38:]
    got = call(
        machine,
        [
            (MODULE, "decode_reflected", (octets("u2")[:43],)),
            (MODULE, "decode_reflected", (octets("a2")[:111], KEY)),
            (MODULE, "decode_reflected", (octets("u2"), KEY)),
            (MODULE, "decode_reflected", (wrong_mac, KEY)),
            (MODULE, "decode_reflected", (no_multiplier,)),
            (MODULE, "decode_reflected", (no_sender_multiplier,)),
        ],
    )
    assert [fault["text"] for fault in got] == [
        "wanted at least 44 octets, got 43",
        "wanted at least 112 octets, got 111",
        "wanted at least 112 octets, got 44",
        "the HMAC is wrong",
        "an error estimate with multiplier 0",
        "an error estimate with multiplier 0",
    ]


@given(st.integers(0, 8 * 96 - 1))
def test_any_flipped_bit_of_an_authenticated_packet_is_refused(bit):
    packet = bytearray(octets("a2"))
    packet[bit // 8] ^= 1 << bit % 8
    with pytest.raises(stamp_packet.Malformed, match="HMAC"):
        stamp_packet.decode_reflected(bytes(packet), KEY)


@pytest.mark.parametrize("machine", MACHINES)
def test_hold_is_read_in_ntp_and_in_ptp_format(machine):
    ptp = struct.pack(">II", 1700000000, 250_000_000), struct.pack(">II", 1700000000, 250_400_999)
    received, sent = (int.from_bytes(t, "big") for t in ptp)
    jobs: list[tuple[str, str, tuple[Any, ...]]] = [
        ("machine_side", "hold", (0xE8FE6F8042100000, 0xE8FE6F8042000000, 0x9664)),
        ("machine_side", "hold", (sent, received, 0xD664)),
        ("machine_side", "hold", (0x0000000000000000, 0xFFFFFFFF80000000, 0x9664)),
    ]
    assert call(machine, jobs) == [244, 400, 500_000]


@given(st.integers(0, 2**50), st.integers(-(2**40), 2**40))
def test_ntp_keeps_microseconds_across_an_era(at_us, step_us):
    earlier, later = stamp_packet.ntp_of_us(at_us), stamp_packet.ntp_of_us(at_us + step_us)
    assert abs(stamp_packet.us_between(earlier, later) - step_us) <= 1


@pytest.mark.parametrize(
    ("size", "base", "want"), [(172, 44, 128), (172, 112, 60), (48, 44, 4), (47, 44, 0), (0, 44, 0)]
)
def test_padding_fills_to_the_size_asked_and_never_lies_about_its_length(size, base, want):
    padding = stamp_packet.padded(size, base)
    assert len(padding) == want
    if want:
        assert padding[:2] == b"\x80\x01"
        assert int.from_bytes(padding[2:4], "big") == want - 4
        assert not any(padding[4:])


# --- a window ---------------------------------------------------------------------------------------------------------

MS = 1000


def play(machine: str, sent: int, replies: list[list[Any]], **more: Any) -> dict[str, Any]:
    """Return the reading of packets sent 20 ms apart and of replies [sequence, number, rtt_us, hold_us, stall_us]."""
    events: list[list[Any]] = [["sent", i * 20 * MS + more.get("send_late_us", {}).get(i, 0)] for i in range(sent)]
    events += more.get("stalls", [])
    for sequence, number, rtt_us, hold_us, stall_us in replies:
        at_us = events[sequence][1] + rtt_us + hold_us
        events.append(["reply", sequence, number, at_us, hold_us, stall_us])
    arguments = (sent, 20 * MS, 1_000 * MS, more.get("stateful", False), more.get("link_up", True), events, 1, 60 * MS)
    (reading,) = call(machine, [("machine_side", "window", arguments)])
    return reading


@pytest.mark.parametrize("machine", MACHINES)
def test_a_clean_window_is_clean(machine):
    reading = play(machine, 50, [[i, i, 10 * MS, 200, 0] for i in range(50)])
    assert reading["sent"] == reading["answered"] == 50
    assert reading["rtt_us"] == [10 * MS] * 4
    assert reading["pdv_us"] == [0, 0]
    assert reading["jitter_us"] == reading["late"] == reading["duplicate"] == reading["malformed"] == 0
    assert reading["burst_r_milli"] == 1000
    # Ta = 5 + 60 + 20 + 3.75 ms, below mT: R is R0.
    assert (reading["r_centi"], reading["mos_milli"]) == (9321, 4409)
    assert "lost_by_direction" not in reading
    assert "codes" not in reading


@pytest.mark.parametrize("machine", MACHINES)
def test_late_duplicate_reordered_and_lost_are_told_apart(machine):
    replies = [[i, i, 10 * MS, 0, 0] for i in range(100) if i not in (20, 21, 40)]
    replies.insert(21, [19, 19, 10 * MS, 0, 0])  # a second time
    replies[50], replies[51] = replies[51], replies[50]
    replies.append([20, 20, 70 * MS + 1, 0, 0])  # beyond 10 + 60 ms, and below the highest sequence
    replies.append([40, 40, 1_000 * MS + 1, 0, 0])  # beyond the loss threshold
    reading = play(machine, 100, replies)
    assert (reading["sent"], reading["answered"], reading["late"]) == (100, 98, 1)
    assert (reading["duplicate"], reading["reordered"], reading["malformed"]) == (1, 3, 0)
    assert reading["rtt_us"][3] == 70 * MS + 1
    assert reading["burst"] == [256 * 2 // 2 - 1, 256 // 98, 40, 980, 1]


@pytest.mark.parametrize("machine", MACHINES)
def test_what_the_witness_spoilt_is_void_and_never_loss(machine):
    replies = [[i, i, 10 * MS, 0, 6 * MS if i == 3 else 0] for i in range(50) if i not in (30, 31)]
    reading = play(machine, 50, replies, send_late_us={10: 5 * MS + 1}, stalls=[["stall", 700 * MS, 95 * MS]])
    # 3: stalled in flight; 10: sent late; 30 and 31 (600, 620 ms) unanswered around the stall from 605 to 700 ms.
    assert (reading["sent"], reading["answered"], reading["self_delayed"]) == (50, 46, 4)
    assert reading["stall_us"] == 95 * MS
    assert reading["burst_r_milli"] == 1000
    assert reading["r_centi"] == 9321


@pytest.mark.parametrize("machine", MACHINES)
def test_a_short_stall_does_not_excuse_loss(machine):
    replies = [[i, i, 10 * MS, 0, 0] for i in range(50) if i != 30]
    reading = play(machine, 50, replies, stalls=[["stall", 650 * MS, 59 * MS]])
    assert (reading["sent"], reading["answered"], reading["self_delayed"]) == (50, 49, 0)


@pytest.mark.parametrize("machine", MACHINES)
def test_short_stalls_one_upon_the_other_are_one_and_what_follows_finds_the_queue_full_once_more(machine):
    replies = [[i, i, 10 * MS, 0, 0] for i in range(50) if i not in (30, 33, 40)]
    stalls = [["stall", end_ms * MS, 19 * MS] for end_ms in (600, 620, 640, 660)]
    reading = play(machine, 50, replies, stalls=stalls)
    # 30 and 33 (600 and 660 ms) lie in the stretch from 581 ms to an interval past 660; 40 (800 ms) is a loss.
    assert (reading["sent"], reading["answered"], reading["self_delayed"]) == (50, 47, 2)
    apart = [["stall", end_ms * MS, 19 * MS] for end_ms in (560, 600, 640, 680)]
    reading = play(machine, 50, replies, stalls=apart)
    assert (reading["answered"], reading["self_delayed"]) == (47, 0)


@pytest.mark.parametrize("machine", MACHINES)
def test_nothing_answered_is_all_lost_without_delay_or_rating(machine):
    reading = play(machine, 20, [])
    assert (reading["sent"], reading["answered"], reading["self_delayed"]) == (20, 0, 0)
    assert reading["burst"] == [255, 0, 400, 0, 1]
    assert not {"rtt_us", "pdv_us", "jitter_us", "r_centi", "mos_milli"} & set(reading)


@pytest.mark.parametrize("machine", MACHINES)
def test_nothing_answered_without_a_link_is_all_void(machine):
    reading = play(machine, 20, [], link_up=False)
    assert (reading["sent"], reading["answered"], reading["self_delayed"]) == (20, 0, 20)
    assert "burst" not in reading


@pytest.mark.parametrize("machine", MACHINES)
def test_a_stateful_reflector_splits_loss_by_direction(machine):
    # Forward lost: 5 and 6. Backward lost: 9. The reflector numbers what reaches it.
    numbers = {sequence: number for number, sequence in enumerate(i for i in range(20) if i not in (5, 6))}
    replies = [[i, numbers[i], 10 * MS, 0, 0] for i in numbers if i != 9]
    assert play(machine, 20, replies)["lost_by_direction"] == [2, 1]


@pytest.mark.parametrize("machine", MACHINES)
def test_a_stateless_reflector_and_one_that_counts_on_tell_no_direction(machine):
    lossy = [[i, i, 10 * MS, 0, 0] for i in range(20) if i != 7]
    counting_on = [[i, 500 + i, 10 * MS, 0, 0] for i in range(20) if i != 7]
    assert "lost_by_direction" not in play(machine, 20, lossy)
    assert "lost_by_direction" not in play(machine, 20, counting_on)
    assert play(machine, 20, lossy, stateful=True)["lost_by_direction"] == [0, 1]


@pytest.mark.parametrize("machine", MACHINES)
def test_a_hold_that_cannot_be_is_malformed(machine):
    replies = [[0, 0, 10 * MS, 0, 0], [1, 1, -3 * MS, 5 * MS, 0], [2, 2, 10 * MS, -1, 0]]
    reading = play(machine, 3, replies)
    assert (reading["answered"], reading["malformed"]) == (1, 2)
