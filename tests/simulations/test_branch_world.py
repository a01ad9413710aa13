"""The neutral world format: what is written is read back, in both forms, and damage is named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from linewitness.errors import CannotDo
from simulations.branch import world
from simulations.branch.feed import place
from simulations.branch.fields import COLUMN, FIELDS, Readings
from simulations.branch.rows import read_rows

T0 = 1_789_948_800.0


def some_rows(count: int = 5) -> Readings:
    """Rows a minute apart: float32-clean values, some not measured."""
    rows = np.full((count, len(FIELDS)), np.nan)
    rows[:, COLUMN["t"]] = T0 + 60 * np.arange(count)
    rows[:, COLUMN["t_rx"]] = rows[:, COLUMN["t"]] + 61.4
    rows[:, COLUMN["up_s"]] = 500_000 + 60 * np.arange(count)
    rows[:, COLUMN["boot"]], rows[:, COLUMN["ntp_ok"]], rows[:, COLUMN["gw_loss"]] = 100, 1, 0.25
    rows[1, COLUMN["m_rtt"]] = 60.5
    return rows


@pytest.mark.parametrize("write", [world.write_csv, world.write_npz])
def test_readings_come_back_as_they_were_written(tmp_path: Path, write: object) -> None:
    rows = some_rows()
    write(tmp_path, "s000", rows)  # type: ignore[operator]
    np.testing.assert_array_equal(read_rows(tmp_path, "s000", FIELDS), rows)


@pytest.mark.parametrize("write", [world.write_csv, world.write_npz])
def test_the_same_rows_have_the_same_bytes(tmp_path: Path, write: object) -> None:
    octets = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, "s000", some_rows())  # type: ignore[operator]
        octets.append(next((tmp_path / name).iterdir()).read_bytes())
    assert octets[0] == octets[1]


def test_an_npz_without_the_times_among_its_float32_columns_reads_the_same(tmp_path: Path) -> None:
    rows = some_rows()
    np.savez(tmp_path / "s000.npz", A=rows[:, :2], B=rows[:, 2:].astype(np.float32))
    np.testing.assert_array_equal(read_rows(tmp_path, "s000", FIELDS), rows)


def test_columns_in_another_order_find_their_place_and_absent_ones_are_not_measured(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "s000.csv.gz", "wt") as file:
        file.write("t_rx,t,new_column,p_sip\n1789948861.4,1789948800.0,7,\n1789948921.4,1789948860.0,7,0.5\n")
    rows = read_rows(tmp_path, "s000", FIELDS)
    assert rows[0, COLUMN["t"]] == T0
    assert np.isnan(rows[0, COLUMN["p_sip"]])
    assert rows[1, COLUMN["p_sip"]] == 0.5
    assert np.isnan(rows[:, COLUMN["gw_loss"]]).all()


def test_a_short_line_is_refused_by_its_number(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "s000.csv.gz", "wt") as file:
        file.write("t,t_rx\n1,2\n3\n")
    with pytest.raises(CannotDo, match="line 3 has 1 fields, the header 2"):
        read_rows(tmp_path, "s000", FIELDS)


def test_a_site_without_readings_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotDo, match=r"s007\.csv\.gz"):
        read_rows(tmp_path, "s007", FIELDS)


def test_a_line_that_is_not_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "truth.jsonl").write_text('{"a": 1}\n{"a":\n')
    with pytest.raises(CannotDo, match=r"truth\.jsonl:2"):
        world.read_lines(tmp_path / "truth.jsonl")


def test_rows_are_yielded_one_by_one_with_none_for_not_measured(tmp_path: Path) -> None:
    (tmp_path / "readings").mkdir()
    world.write_csv(tmp_path / "readings", "s000", some_rows())
    world.write_json(tmp_path / "meta.json", {"fields": list(FIELDS), "t0": T0, "step": 60, "days": 1})
    world.write_json(tmp_path / "sites.json", [{"id": "s000"}])
    world.write_lines(tmp_path / "status.jsonl", [])
    rows = list(world.open_world(tmp_path).rows("s000"))
    assert [row["m_rtt"] for row in rows] == [None, 60.5, None, None, None]
    assert json.loads(json.dumps(rows[0]))["gw_loss"] == 0.25


def test_a_stepped_clock_does_not_move_rows_in_true_time() -> None:
    rows = some_rows(60)
    rows[20:30, COLUMN["t"]] += 1800
    seen = place({"id": "s000"}, rows, T0, 60.0, 60)
    assert seen.measured.all()
    np.testing.assert_array_equal(seen["up_s"], rows[:, COLUMN["up_s"]])


def test_rows_of_a_boot_without_time_are_placed_by_when_the_host_got_them() -> None:
    rows = some_rows(60)
    rows[30:, COLUMN["boot"]] = 101
    rows[30:, COLUMN["up_s"]] = 20 + 60 * np.arange(30)
    rows[30:, COLUMN["t"]], rows[30:, COLUMN["ntp_ok"]] = rows[30:, COLUMN["up_s"]], 0
    seen = place({"id": "s000"}, np.delete(rows, [25, 26], axis=0), T0, 60.0, 60)
    assert list(np.flatnonzero(~seen.measured)) == [25, 26]
    assert seen["boot"][30] == 101
