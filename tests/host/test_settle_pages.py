"""What is kept page by page answers as if all of it were held, wherever the pages lie and however late a row came."""

from __future__ import annotations

import bisect
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_settle_quality import window

from linewitness.errors import CannotDo
from linewitness.model import Fate, Segment
from linewitness.scratch import Scratch
from linewitness.settle import pages
from linewitness.settle.heard import Windows
from linewitness.settle.pages import Held, Pages, Table
from linewitness.settle.router_words import RouterWord, RouterWords
from linewitness.settle.series import Row, Series

KEYS = st.lists(st.integers(-50, 50), max_size=60)
FEW = 4  # rows a page


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_ROWS", FEW)


def table_of(keys: list[int], **options: bool) -> Table:
    result = Table(Pages(), 2, **options)
    for number, key in enumerate(keys):
        result.append(key, number)
    result.close()
    return result


@given(KEYS, st.integers(-60, 60), st.integers(-60, 60))
def test_a_table_answers_as_a_sorted_list_does(keys: list[int], a: int, b: int) -> None:
    table, rows = table_of(keys), sorted((key, number) for number, key in enumerate(keys))
    ordered = [key for key, _ in rows]
    assert len(table) == len(rows)
    assert [tuple(row) for row in table.between(0, len(rows)).tolist()] == rows
    assert [tuple(table.row(at).tolist()) for at in range(len(rows))] == rows
    assert (table.before(a), table.until(a)) == (bisect.bisect_left(ordered, a), bisect.bisect_right(ordered, a))
    first, last = table.before(min(a, b)), table.before(max(a, b))
    assert table.between(first, last)[:, 0].tolist() == [key for key in ordered if min(a, b) <= key < max(a, b)]
    asked = np.array(sorted([a, b, 0]), np.int64)
    beyond = [next((key for key in ordered if key > one), 999) for one in asked.tolist()]
    assert table.following(asked, 999).tolist() == beyond


@given(KEYS)
def test_a_table_without_order_keeps_that_of_its_rows(keys: list[int]) -> None:
    table = table_of(keys, ordered=False)
    wanted = np.arange(len(keys) - 1, -1, -1)
    assert table.take(wanted, 0).tolist() == keys[::-1]
    with pytest.raises(IndexError):
        table.row(len(keys))


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), min_size=1, max_size=9))
def test_a_page_is_unpacked_as_it_was_packed_whatever_its_numbers(numbers: list[int]) -> None:
    kept, page = Pages(), np.array([numbers, numbers[::-1]], np.int64).T
    assert (kept.get(kept.put(page), 2) == page).all()


def test_only_the_pages_asked_for_last_are_kept_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counting(Held):
        asked = 0

        def get(self, place: int) -> bytes:
            self.asked += 1
            return super().get(place)

    monkeypatch.setattr(pages, "UNPACKED_OCTETS", 2 * FEW * 8)
    shelf = Counting()
    table = Table(Pages(shelf), 1)
    for key in range(3 * FEW):
        table.append(key)
    table.close()
    for at, asked in ((0, 1), (1, 1), (FEW, 2), (0, 2), (2 * FEW, 3), (0, 3), (FEW, 4)):
        assert table.row(at).tolist() == [at]
        assert shelf.asked == asked


def test_a_series_keeps_its_rows_beside_their_samples() -> None:
    series = Series("leeds", "w1", "t", Segment.LAN, "icmp", False, "h", 1_000, 1_000)
    rows = [Row(n, 1, 2, 3, None if n % 3 else n, None, n) for n in range(2 * FEW + 1)]
    for n in random.Random(1).sample(range(len(rows)), len(rows)):
        series.rows.append(rows[n])
        series.add(Fate.ANSWERED if n % 2 else Fate.LOST, n * 100, len(series.rows) - 1)
    series.close()
    for fate in (Fate.ANSWERED, Fate.LOST):
        found = list(series.points(fate, 0, 10_000))
        assert [(p.at_us, p.row) for p in found] == [
            (r.seq * 100, r) for r in rows if (r.seq % 2 == 1) == (fate is Fate.ANSWERED)
        ]
    said = series.rows.values("rtt_max_us", np.arange(len(rows)))
    assert sorted(said[~np.isnan(said)].tolist()) == [r.seq for r in rows if r.rtt_max_us is not None]


def test_windows_come_back_as_they_were_and_are_counted_together() -> None:
    made = [window(n / 2, None if n % 5 == 0 else 4000 + n, loss=n, control=bool(n % 2)) for n in range(30)]
    kept = Windows.of(random.Random(2).sample(made, len(made)))
    assert list(kept) == made
    assert len(kept) == len(made)
    edges = (made[4].start.earliest_us, made[21].end.latest_us)
    assert list(kept.within(*edges)) == made[4:22]
    assert list(kept.within(edges[0] + 1, edges[1] - 1)) == made[5:21]
    assert list(kept.about(*edges, "w1")) == made[4:22]
    assert list(kept.about(*edges, "w2")) == []
    ours = [w for w in made[4:22] if not w.control]
    found = kept.counted("w1", "edge", *edges)
    assert found is not None
    assert (found.sent, found.answered) == (sum(w.sent for w in ours), sum(w.answered for w in ours))
    assert kept.counted("w1", "edge", edges[1], edges[1] + 1) is None


def test_a_routers_words_come_back_as_they_were() -> None:
    said = [
        RouterWord("w1", n * 10, n if n % 2 else None, (None, True, False)[n % 3], (n / 3, 0.0) if n % 4 else None)
        for n in range(20)
    ]  # fmt: skip
    kept = RouterWords()
    for word in reversed(said):
        kept.add(word)
    kept.close()
    assert list(kept) == said
    assert list(kept.between(30, 60)) == said[3:6]
    assert list(kept.between(30, 60, "w2")) == []


def test_a_scratch_file_gives_back_what_it_got_and_leaves_nothing(tmp_path: Path) -> None:
    with Scratch(tmp_path) as shelf:
        places = [shelf.put(octets) for octets in (b"one", b"", b"three")]
        assert [shelf.get(place) for place in reversed(places)] == [b"three", b"", b"one"]
        assert shelf.get(shelf.put(b"four")) == b"four"
    assert list(tmp_path.iterdir()) == []


def test_a_scratch_file_lies_elsewhere_where_its_folder_takes_none(tmp_path: Path) -> None:
    with Scratch(tmp_path / "absent") as shelf:
        assert shelf.get(shelf.put(b"one")) == b"one"


def test_a_full_disk_is_told_with_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = Path("/dev/full").open("r+b", buffering=0)  # noqa: SIM115  (the scratch file closes it)
    monkeypatch.setattr("linewitness.scratch._opened", lambda _: full)
    with Scratch(tmp_path) as shelf, pytest.raises(CannotDo) as refused:
        shelf.put(b"one")
    assert str(tmp_path) in str(refused.value)
