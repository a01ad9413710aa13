"""Reading a site's rows: from any place on, in every form an .npz or .csv.gz may have; damage is named."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linewitness.errors import CannotDo
from simulations.branch import world
from simulations.branch.feed import Feed, observations, place
from simulations.branch.fields import COLUMN, FIELDS, Readings
from simulations.branch.numbers import numbers
from simulations.branch.rows import BLOCK_ROWS, blocks, read_rows

T0 = 1_789_948_800.0
ROUNDS = 4 * BLOCK_ROWS
WRITERS = pytest.mark.parametrize("write", [world.write_csv, world.write_npz])


def many_rows() -> Readings:
    """Four days of rows with a restart, a gap and a night in which nothing reached the host."""
    rows = np.full((ROUNDS, len(FIELDS)), np.nan)
    begin = T0 + 60.0 * np.arange(ROUNDS)
    rows[:, COLUMN["t"]], rows[:, COLUMN["t_rx"]] = begin, begin + 61.4
    rows[2000:2500, COLUMN["t_rx"]] = begin[2500] + 61.4
    rows[:, COLUMN["up_s"]] = 500_000 + 60 * np.arange(ROUNDS)
    rows[3000:, COLUMN["up_s"]] = 20 + 60 * np.arange(ROUNDS - 3000)
    rows[:, COLUMN["boot"]] = np.where(np.arange(ROUNDS) < 3000, 100, 101)
    rows[:, COLUMN["ntp_ok"]] = 1
    rows[:, COLUMN["gw_loss"]] = np.arange(ROUNDS) % 13 / 16
    return np.delete(rows, np.s_[2900:3000], axis=0)


def a_world(folder: Path, write: object) -> world.World:
    (folder / "readings").mkdir(parents=True)
    write(folder / "readings", "s000", many_rows())  # type: ignore[operator]
    world.write_json(folder / "meta.json", {"fields": list(FIELDS), "t0": T0, "step": 60, "days": 4, "T": ROUNDS})
    world.write_json(folder / "sites.json", [{"id": "s000"}])
    world.write_lines(folder / "status.jsonl", [])
    return world.open_world(folder)


@WRITERS
def test_reading_goes_on_from_any_block(tmp_path: Path, write: object) -> None:
    write(tmp_path, "s000", many_rows())  # type: ignore[operator]
    whole = read_rows(tmp_path, "s000", FIELDS)
    found = list(blocks(tmp_path, "s000", FIELDS, None, True))
    assert len(found) > 2
    row = 0
    for block in found:
        # Twice: a place may be taken up again and again.
        for _ in range(2):
            again = list(blocks(tmp_path, "s000", FIELDS, block.place))
            np.testing.assert_array_equal(np.concatenate([b.rows for b in again]), whole[row:])
        row += len(block.rows)


@WRITERS
@pytest.mark.parametrize("starts", [(0, 1000, 2000, 3100), (0, 2850), (0, 3000, 4321)])
def test_windows_show_what_the_whole_shows(tmp_path: Path, write: object, starts: tuple[int, ...]) -> None:
    opened = a_world(tmp_path, write)
    (whole,) = observations(opened)
    assert list(np.flatnonzero(~whole.measured)) == list(range(2900, 3000))
    feed = Feed(opened)
    for first, following in zip(starts, (*starts[1:], None), strict=True):
        last = ROUNDS if following is None else min(following + 700, ROUNDS)
        (seen,) = feed.window(first, last, following)
        assert seen.t0 == T0 + 60 * first
        np.testing.assert_array_equal(seen.measured, whole.measured[first:last])
        np.testing.assert_array_equal(seen["gw_loss"], whole["gw_loss"][first:last])


def test_an_npz_may_lie_column_after_column_or_be_stored_unpacked(tmp_path: Path) -> None:
    rows = many_rows()
    first, rest = rows[:, :2], rows.astype(np.float32)
    np.savez(tmp_path / "s000.npz", A=np.asfortranarray(first), B=np.asfortranarray(rest), extra=np.arange(3))
    np.savez_compressed(tmp_path / "s001.npz", B=np.asfortranarray(rest), A=first)
    plain = rest.astype(np.float64)
    plain[:, :2] = first
    for site in ("s000", "s001"):
        found = list(blocks(tmp_path, site, FIELDS, None, True))
        np.testing.assert_array_equal(np.concatenate([block.rows for block in found]), plain)
        again = list(blocks(tmp_path, site, FIELDS, found[2].place))
        np.testing.assert_array_equal(np.concatenate([block.rows for block in again]), plain[2 * BLOCK_ROWS :])


def test_a_gzip_of_two_members_is_read_whole(tmp_path: Path) -> None:
    head = gzip.compress(b"t,t_rx\n1,2\n3")
    (tmp_path / "s000.csv.gz").write_bytes(head + gzip.compress(b",4\r\n5,6"))
    rows = read_rows(tmp_path, "s000", FIELDS)
    np.testing.assert_array_equal(rows[:, :2], [[1, 2], [3, 4], [5, 6]])


@WRITERS
def test_a_file_cut_short_or_altered_is_named(tmp_path: Path, write: object) -> None:
    write(tmp_path, "s000", many_rows())  # type: ignore[operator]
    (path,) = tmp_path.iterdir()
    octets = path.read_bytes()
    altered = bytearray(octets)
    altered[len(octets) // 2] ^= 0x10
    for damaged in (octets[: len(octets) // 2], bytes(altered), b""):
        path.write_bytes(damaged)
        with pytest.raises(CannotDo, match="not readings") as caught:
            read_rows(tmp_path, "s000", FIELDS)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"A": np.zeros((3, 2)), "B": np.zeros((2, 65), np.float32)}, "3 rows of 2 times, 2 rows of 65"),
        ({"A": np.zeros((3, 2)), "B": np.zeros((3, 7), np.float32)}, f"meta.json names {len(FIELDS)}"),
        ({"A": np.zeros((3, 2))}, "not enough values"),
        ({"A": np.zeros(3), "B": np.zeros((3, 65), np.float32)}, "0 rows of 0 times"),
    ],
)
def test_an_npz_of_another_shape_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray], words: str) -> None:
    np.savez(tmp_path / "s000.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(CannotDo, match=words):
        read_rows(tmp_path, "s000", FIELDS)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20), st.sampled_from("rgf"))
def test_numbers_are_read_as_python_reads_them(values: list[float], form: str) -> None:
    words = [repr(v) if form == "r" else f"{v:.6g}" if form == "g" else f"{v:.3f}" for v in values]
    read = numbers((",".join(words) + "\n").encode(), len(words), 2)[0]
    for word, value in zip(words, read.tolist(), strict=True):
        digits = sum(character.isdigit() for character in word)
        exact = float(word)
        assert value == exact or (digits > 15 and abs(value - exact) <= 2.3e-16 * abs(exact)), word


def test_odd_numbers_are_read_too_and_what_is_none_is_named_by_its_line() -> None:
    odd = numbers(b".5,5.,-1\r\n,2.4e+06,nan\n", 3, 2)
    np.testing.assert_array_equal(odd, [[0.5, 5, -1], [np.nan, 2.4e6, np.nan]])
    for text, words in (
        (b"1,2\n3\n", "line 8 has 1 fields"),
        (b"1,2\n3,.\n", "line 8: "),
        (b"1,2\n1.2.3,4\n", "line 8"),
    ):
        with pytest.raises(ValueError, match=words):
            numbers(text, 2, 7)


def test_rows_before_and_after_a_window_are_left_out() -> None:
    rows = many_rows()[:100]
    seen = place({"id": "s000"}, rows, T0 + 600, 60.0, 50)
    assert seen.measured.all()
    np.testing.assert_array_equal(seen["up_s"], rows[10:60, COLUMN["up_s"]])
