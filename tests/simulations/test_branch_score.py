"""The measures of verdicts on hand-made worlds: what counts as right, as false blame, as missed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simulations.branch import measures, score, world
from simulations.branch.__main__ import main
from simulations.branch.faults import HOME
from simulations.branch.generate import Recipe, make
from simulations.branch.style import STYLES

T0 = 1_789_948_800


def fault(site: str, side: str, start: float, end: float, **more: Any) -> world.Line:
    """A call-affecting truth line, times in s from T0."""
    return {
        "fault": f"f-{side}-{start}", "kind": f"some_{side}", "site": site, "side": side,
        "start": T0 + start, "end": T0 + end,
        "impact_start": T0 + start, "impact_end": T0 + end, "affects_calls": True, "shared": 1, "ambiguous": [],
        "observable": True, "sla_excluded": False, **more,
    }  # fmt: skip


def said(site: str, side: str, start: float, end: float, confidence: float = 0.99) -> world.Line:
    return {"site": site, "start": T0 + start, "end": T0 + end, "side": side, "confidence": confidence}


def scored(path: Path, faults: list[world.Line], verdicts: list[world.Line], posts: tuple[world.Line, ...] = ()) -> Any:
    """Score verdicts in a world of one day and two sites."""
    world.write_json(path / "meta.json", {"fields": [], "t0": T0, "step": 60, "days": 1})
    world.write_json(path / "sites.json", [{"id": name, "provider": 0} for name in ("s000", "s001")])
    world.write_lines(path / "status.jsonl", posts)
    world.write_lines(path / "truth.jsonl", faults)
    sla = {"downtime_s": 0.0, "availability": 1.0, "credit": 0}
    world.write_json(path / "truth_sla.json", {"s000": sla, "s001": sla})
    return measures.score(path, verdicts)


def test_the_right_side_at_the_right_time_is_all_right(tmp_path: Path) -> None:
    got = scored(tmp_path, [fault("s000", "provider", 3600, 7200)], [said("s000", "provider", 3600, 7200)])
    assert (got["acc"], got["IoU"], got["FB_worse"], got["start_err_med_s"]) == (1.0, 1.0, 0.0, 0.0)
    assert got["PF_causes"] == 1
    assert got["ECE"] == pytest.approx(0.01)


def test_blaming_the_provider_for_the_customers_fault_is_false_blame(tmp_path: Path) -> None:
    got = scored(tmp_path, [fault("s000", "customer_lan", 3600, 7200)], [said("s000", "provider", 3600, 7200)])
    assert got["FB_verdict_n"] == [1, 1]
    assert got["FB_incident_n"] == [1, 1]
    assert got["FB_minutes"] == 1.0
    assert got["wrong_ident"] == 1.0
    assert got["fb_kinds"] == {"some_customer_lan": 1}


def test_a_verdict_a_fifth_too_long_is_still_true_and_one_twice_as_long_is_false(tmp_path: Path) -> None:
    real = [fault("s000", "provider", 3600, 7200)]
    assert scored(tmp_path, real, [said("s000", "provider", 3600, 7900)])["FB_verdicts"] == 0
    assert scored(tmp_path, real, [said("s000", "provider", 3600, 10800)])["FB_verdicts"] == 1


def test_cutting_a_verdict_into_pieces_does_not_pay(tmp_path: Path) -> None:
    pieces = [said("s000", "provider", start, start + 600) for start in range(3600, 7200, 660)]
    got = scored(tmp_path, [fault("s000", "customer", 3600, 7200)], pieces)
    assert got["FB_verdict_n"] == [1, 1]
    assert got["verdicts"] == len(pieces)


def test_undetermined_and_missed_are_neither_right_nor_wrong(tmp_path: Path) -> None:
    faults = [fault("s000", "access", 3600, 7200), fault("s001", "access", 3600, 7200)]
    got = scored(tmp_path, faults, [said("s000", "inconclusive", 3600, 7200)])
    assert (got["abstain_ident"], got["missed"], got["wrong_ident"], got["acc"]) == (0.5, 0.5, 0.0, 0.0)


def test_what_another_fault_owns_is_not_held_against_an_incident(tmp_path: Path) -> None:
    faults = [fault("s000", "customer", 3600, 7200), fault("s000", "provider", 3600, 7200)]
    got = scored(tmp_path, faults, [said("s000", "provider", 3600, 7200)])
    assert got["incidents"] == 1
    assert got["kinds"]["some_customer"] == {"masked": 1}


def test_announced_maintenance_is_not_downtime(tmp_path: Path) -> None:
    post = {
        "provider": 0,
        "scheduled": True,
        "posted_at": T0 - 90000,
        "started_at": T0 + 3600,
        "resolved_at": T0 + 5400,
    }
    verdicts = [said("s000", "provider", 3600, 7200)]
    got = scored(tmp_path, [fault("s000", "provider", 3600, 7200)], verdicts, (post,))
    assert got["sla_bias"] == pytest.approx(30 * 30 / 2)


def test_one_cause_at_many_sites_counts_once_in_the_interval(tmp_path: Path) -> None:
    same = {"fault": "f1"}
    faults = [fault("s000", "provider", 3600, 7200, **same), fault("s001", "provider", 3600, 7200, **same)]
    scored(tmp_path, faults, [])
    found = score.records(tmp_path, [said("s000", "provider", 3600, 7200), said("s001", "access", 3600, 7200)])
    assert measures.intervals(found)["acc"] == (0.5, 0.5)


def test_an_interval_holds_its_value_and_repeats(tmp_path: Path) -> None:
    faults = [fault("s000", "access", 3600 * hour, 3600 * hour + 1800) for hour in range(1, 20)]
    scored(tmp_path, faults, [])
    verdicts = [said("s000", "access", 3600 * hour, 3600 * hour + 1800) for hour in range(1, 13)]
    found = score.records(tmp_path, verdicts)
    low, high = measures.intervals(found)["acc"]
    assert low < measures.measures(found)["acc"] < high
    assert measures.intervals(found)["acc"] == (low, high)


def test_the_command_makes_settles_and_scores_a_world(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place, verdicts = str(tmp_path / "w"), str(tmp_path / "v.jsonl")
    assert main(["make", "--seed", "1", "--sites", "6", "--days", "1", "--out", place]) == 0
    assert main(["settle", place, "--out", verdicts]) == 0
    assert main(["score", place, verdicts, "--intervals"]) == 0
    assert "FB_worse" in capsys.readouterr().out
    lines = world.read_lines(Path(verdicts))
    assert lines
    assert all(line["start"] < line["end"] for line in lines)


def test_settling_does_not_need_the_truth(tmp_path: Path) -> None:
    make(Recipe(2, 3, 1, 300, HOME, STYLES["home"]), tmp_path / "w")
    for path in (tmp_path / "w").glob("truth*"):
        path.unlink()
    assert main(["settle", str(tmp_path / "w"), "--out", str(tmp_path / "v.jsonl"), "--method", "naive"]) == 0


def test_an_unknown_kind_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["make", "--seed", "1", "--out", str(tmp_path), "--kinds", "gremlins"]) == 2
    assert "gremlins" in capsys.readouterr().err
