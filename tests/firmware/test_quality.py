"""The statistics of a window and the E-model are those of their documents, on CPython and on each machine."""

from __future__ import annotations

import ast
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machines import MACHINES, call

from linewitness import emodel as calculator
from linewitness_wire import codes
from witness import emodel, quality

VECTORS = Path(__file__).parents[1] / "vectors"
FIRMWARE = Path(__file__).parents[2] / "firmware" / "witness"


def load(name: str) -> dict[str, Any]:
    return json.loads((VECTORS / name).read_text())


JITTER = load("rtp/jitter_rfc3550.json")["vectors"]
BURSTS = load("rtp/bursts_rfc3611.json")["vectors"]
DELAYS = load("rtp/delay_rfc5481.json")["vectors"]
G107 = load("emodel/g107.json")
WITNESS_INPUTS = {"Ta", "Ie", "Bpl", "Ppl", "BurstR"}
RATINGS = [v for v in G107["vectors"] if set(v["inputs"]) <= WITNESS_INPUTS]


def pattern_of(text: str) -> bytes:
    return bytes(char != "1" for char in text)


def rating_arguments(inputs: dict[str, float]) -> tuple[int, ...]:
    given_ = {"Ta": 0, "Ie": 0, "Bpl": 4.3, "Ppl": 0, "BurstR": 1, **inputs}
    return (
        round(given_["Ta"] * 1000),
        round(given_["Ie"]),
        round(given_["Bpl"] * 10),
        round(given_["Ppl"] * 10_000),
        round(given_["BurstR"] * 1000),
    )


@pytest.mark.parametrize("machine", MACHINES)
def test_jitter_is_that_of_rfc3550_packet_by_packet(machine):
    jobs = []
    for v in JITTER:
        per_ms = v["clock_hz"] // 1000
        transits = [round(a["arrival_ms"] * per_ms) - a["rtp_ts"] for a in v["arrivals"]]
        jobs.append(("machine_side", "jitter", (transits,)))
    for v, got in zip(JITTER, call(machine, jobs), strict=True):
        assert got == v["jitter_int_rtp_units"], v["id"]


@pytest.mark.parametrize("machine", MACHINES)
def test_jitter_in_microseconds_is_the_real_valued_one_to_a_microsecond(machine):
    jobs = []
    for v in JITTER:
        transits = [round(a["arrival_ms"] * 1000) - a["rtp_ts"] * 1_000_000 // v["clock_hz"] for a in v["arrivals"]]
        jobs.append(("machine_side", "jitter", (transits,)))
    for v, got in zip(JITTER, call(machine, jobs), strict=True):
        # The vector was computed in whole RTP units where the arrival was not: half a unit then.
        exact = all(a["arrival_ms"] * v["clock_hz"] % 1000 == 0 for a in v["arrivals"])
        assert got[-1] == pytest.approx(v["final_jitter_ms"] * 1000, abs=1 if exact else 65), v["id"]


@pytest.mark.parametrize("machine", MACHINES)
def test_bursts_and_gaps_are_those_of_rfc3611(machine):
    jobs = [("witness.quality", "bursts", (pattern_of(v["pattern"]), v["ptime_ms"], v["Gmin"])) for v in BURSTS]
    for v, got in zip(BURSTS, call(machine, jobs), strict=True):
        want = v["computed"]
        assert got == [
            want["burst_density_8bit"],
            want["gap_density_8bit"],
            want["burst_duration_mean_ms"],
            want["gap_duration_mean_ms"],
            len(want["bursts"]),
        ], v["id"]


@pytest.mark.parametrize("machine", MACHINES)
def test_burst_ratio_is_the_mean_run_over_that_of_random_loss(machine):
    jobs = [("witness.quality", "burst_r_milli", (pattern_of(v["pattern"]),)) for v in BURSTS]
    for v, got in zip(BURSTS, call(machine, jobs), strict=True):
        assert got == pytest.approx(v["computed"]["BurstR_runlength"] * 1000, abs=0.501), v["id"]


@pytest.mark.parametrize("machine", MACHINES)
def test_delays_and_their_variation_are_those_of_the_rfcs(machine):
    jobs = []
    for v in DELAYS:
        came = sorted(round(d * 1000) for d in v["delays"] if d is not None and d <= v.get("tmax", math.inf))
        jobs += [("witness.quality", "summary", (came,)), ("witness.quality", "pdv", (came,))]
    got = call(machine, jobs)
    for i, v in enumerate(DELAYS):
        want = v["computed"]
        assert got[2 * i] == [int(want[key] * 1000) for key in ("min", "mean", "p95_received", "max")], v["id"]
        assert got[2 * i + 1] == [int(want[key] * 1000) for key in ("pdv_p95", "pdv_max")], v["id"]


@pytest.mark.parametrize("machine", MACHINES)
def test_rating_and_mos_are_those_of_g107(machine):
    assert len(RATINGS) > 40
    jobs = [("witness.emodel", "rating_micro", rating_arguments(v["inputs"])) for v in RATINGS]
    ratings = call(machine, jobs)
    scores = call(machine, [("witness.emodel", "mos_milli", (rating,)) for rating in ratings])
    for v, rating, mos in zip(RATINGS, ratings, scores, strict=True):
        assert rating / 1e6 == pytest.approx(v["computed"]["R"], abs=0.002), v["id"]
        assert mos / 1000 == pytest.approx(v["computed"]["MOS"], abs=0.00056), v["id"]


@pytest.mark.parametrize("machine", MACHINES)
def test_mos_of_a_rating_is_that_of_annex_b_and_never_below_one(machine):
    mapping = G107["mapping"]
    jobs = [("witness.emodel", "mos_milli", (round(m["R"] * 1_000_000),)) for m in mapping]
    for m, got in zip(mapping, call(machine, jobs), strict=True):
        assert got / 1000 == pytest.approx(max(1.0, m["MOS"]), abs=0.00051), m


def idd(delay_ms: float) -> float:
    """Idd straight from G.107 (7-28), in double precision."""
    if delay_ms <= 100:
        return 0.0
    x = math.log2(delay_ms / 100)
    return 25 * ((1 + x**6) ** (1 / 6) - 3 * (1 + (x / 3) ** 6) ** (1 / 6) + 2)


@given(st.integers(0, 60_000_000))
def test_delay_impairment_follows_the_formula_at_every_delay(delay_us):
    assert emodel.delay_impairment_micro(delay_us) / 1e6 == pytest.approx(idd(delay_us / 1000), abs=0.001)


@given(st.integers(0, 3_000_000), st.sampled_from(sorted(emodel.CODECS)), st.integers(0, 250), st.integers(0, 9000))
def test_call_quality_is_the_formula_of_what_was_measured(network_us, codec, bad, burst_r_milli):
    got_r, got_mos = emodel.call_quality(codec, network_us, 60_000, 20_000, (bad, 250, burst_r_milli))
    ie, bpl_tenths, codec_us = emodel.CODECS[codec]
    ppl, burst_r = bad / 2.5, max(1.0, burst_r_milli / 1000)
    ie_eff = ie + (95 - ie) * ppl / (ppl / burst_r + bpl_tenths / 10)
    rating = 93.206208 - idd((network_us + 80_000 + codec_us) / 1000) - ie_eff
    assert got_r / 100 == pytest.approx(rating, abs=0.0071)
    cubic = 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6
    mos = 1.0 if rating <= 0 else max(1.0, cubic)
    assert got_mos / 1000 == pytest.approx(mos, abs=0.001)


def test_every_narrowband_codec_with_a_loss_robustness_can_be_rated_and_as_the_calculator_does():
    table = json.loads((VECTORS / "emodel" / "codecs_g113.json").read_text())["codecs"]
    rated = {row["codec"]: row for row in table if row["Ie"] is not None and row["Bpl"] is not None}
    assert set(rated) == set(codes.CODEC_NAMES)
    assert set(emodel.CODECS) == set(range(len(codes.CODEC_NAMES)))
    for number, name in enumerate(codes.CODEC_NAMES):
        row = rated[name]
        for bad, burst_r_milli, network_us in (
            (0, 1000, 5_000),
            (5, 1000, 40_000),
            (13, 2600, 90_000),
            (60, 4100, 300_000),
        ):
            _, mos_milli = emodel.call_quality(number, network_us, 60_000, 20_000, (bad, 250, burst_r_milli))
            want = calculator.rate(
                Ie=row["Ie"], Bpl=row["Bpl"], Ppl=bad / 2.5, BurstR=burst_r_milli / 1000,
                Ta=network_us / 1000 + 80 + row["delay_ms"],
            )  # fmt: skip
            assert mos_milli / 1000 == pytest.approx(max(1.0, want.MOS), abs=0.002), name


def slow_bursts(pattern: bytes, gmin: int) -> list[tuple[int, int]]:
    """RFC 3611 4.7.2 read aloud: the longest runs from loss to loss without gmin received in a row, two or more."""
    found = []
    bad = [i for i, lost in enumerate(pattern) if lost]
    while bad:
        run = [bad.pop(0)]
        while bad and bad[0] - run[-1] - 1 < gmin:
            run.append(bad.pop(0))
        if len(run) > 1:
            found.append((run[0], run[-1]))
    return found


@given(st.lists(st.booleans(), min_size=1, max_size=120).map(bytes), st.integers(1, 16))
def test_bursts_agree_with_a_slow_reading_of_the_rfc(pattern, gmin):
    found = slow_bursts(pattern, gmin)
    inside = [i for first, last in found for i in range(first, last + 1)]
    outside = [i for i in range(len(pattern)) if i not in set(inside)]
    density = min(255, 256 * sum(pattern[i] for i in inside) // len(inside)) if inside else 0
    gap_density = min(255, 256 * sum(pattern[i] for i in outside) // len(outside)) if outside else 0
    gaps = sum(1 for i in outside if i == 0 or i - 1 not in set(outside))
    assert quality.bursts(pattern, 20, gmin) == [
        density,
        gap_density,
        20 * len(inside) // len(found) if found else 0,
        20 * len(outside) // gaps if gaps else 0,
        len(found),
    ]


@pytest.mark.parametrize(
    "path",
    [
        "quality.py",
        "emodel.py",
        "sample.py",
        "probes/window.py",
        "probes/stamp_packet.py",
        "probes/rtp.py",
        "probes/call_media.py",
        "probes/stream.py",
        "probes/certificate.py",
        "probes/connection.py",
    ],
)
def test_no_float_can_arise_on_a_board_of_single_precision(path):
    tree = ast.parse((FIRMWARE / path).read_text())
    floats = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, float)]
    divisions = [n for n in ast.walk(tree) if isinstance(n, (ast.BinOp, ast.AugAssign)) and isinstance(n.op, ast.Div)]
    named = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id in ("float", "math")]
    assert not floats + divisions + named


def test_percentile_is_a_measured_value_at_the_nearest_rank():
    assert quality.percentile(range(1, 101), 95) == 95
    assert quality.percentile([10, 20], 50) == 10
    assert quality.percentile([7], 1) == 7
