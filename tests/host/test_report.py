"""The report: one well-formed file that loads nothing, says everything, and is the same bytes each time."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from html.parser import HTMLParser

import pytest
import report_cases
from report_cases import HOSTILE, MARCH_US, MORNING_US, S, bounds

from linewitness.model import Bounds, QualityWindow, Settlement, State
from linewitness.report import Context, render, times
from linewitness.report.charts import loss_centi, parts_of
from linewitness.report.deadlines import deadlines
from linewitness.report.times import UTC as ZONE_UTC
from linewitness.report.times import Zone
from linewitness.settle.contract import Claim, Contract, load

Case = Callable[[], tuple[Settlement, list[QualityWindow], Context]]
CASES: dict[str, Case] = {
    name: getattr(report_cases, name) for name in ("dispute", "month", "nothing_wrong", "empty", "hostile")
}
VOID = {"meta", "br", "hr", "rect", "line", "path", "circle", "stop", "use"}
LOADING = {"src", "srcset", "data", "action", "xlink:href", "background", "poster", "ping"}


class Page(HTMLParser):
    """Reads a page strictly: every element is closed where it should be, every id is there once."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self.texts: list[str] = []
        self.drawings: list[list[str]] = []  # the tags in each drawing with a role
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        found = dict(attrs)
        if tag == "svg" and found.get("role") == "img":
            self.drawings.append([])
        elif "svg" in self.open and self.drawings:
            self.drawings[-1].append(tag)
        self.tags.append((tag, found))
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def page(name: str) -> Page:
    return Page(render(*CASES[name]()))


@pytest.mark.parametrize("name", CASES)
def test_is_well_formed_and_every_id_is_there_once(name: str) -> None:
    read = page(name)
    assert len(read.ids) == len(set(read.ids))
    links = [attrs["href"] for tag, attrs in read.tags if tag == "a"]
    assert links
    for link in links:
        assert link is not None
        assert link.startswith("#")
        assert link[1:] in read.ids


@pytest.mark.parametrize("name", CASES)
def test_loads_nothing_and_runs_nothing(name: str) -> None:
    html = render(*CASES[name]())
    assert re.search(r"https?://|//[a-z]|@import|javascript:|data:", html.replace(HOSTILE, "")) is None
    read = Page(html)
    assert not {tag for tag, _ in read.tags} & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    for _, attrs in read.tags:
        assert not set(attrs) & LOADING
        assert not [name for name in attrs if name.startswith("on") or name == "style"]
        assert re.fullmatch(r"url\(#[a-z-]+\)|none", attrs.get("fill") or "none")


def test_its_policy_allows_its_own_style_and_nothing_else() -> None:
    import base64
    import hashlib

    html = render(*report_cases.dispute())
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = next(a["content"] for t, a in Page(html).tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_no_text_of_others_becomes_markup_or_turns_the_sentence_around() -> None:
    html = render(*report_cases.hostile())
    assert "<script" not in html.lower()
    assert "\u202e" not in html
    assert "&lt;script&gt;" in html
    assert "<U+202E>" in Page(html).text
    plain, poisoned = page("dispute"), Page(html)
    assert {tag for tag, _ in poisoned.tags} == {tag for tag, _ in plain.tags}
    assert sum(tag == "article" for tag, _ in poisoned.tags) == sum(tag == "article" for tag, _ in plain.tags)


@pytest.mark.parametrize("name", CASES)
def test_is_the_same_bytes_each_time_whatever_the_order_of_windows(name: str) -> None:
    settlement, windows, context = CASES[name]()
    assert render(settlement, windows, context) == render(settlement, windows[::-1], context)
    again = Settlement.from_json(settlement.to_json())
    assert render(again, windows, context) == render(settlement, windows, context)


@pytest.mark.parametrize("name", CASES)
def test_every_drawing_has_a_title_and_a_description_and_nothing_that_takes_the_focus(name: str) -> None:
    read = page(name)
    for tags in read.drawings:
        assert tags[:2] == ["title", "desc"]
        assert "a" not in tags
    scrolling = [attrs for _, attrs in read.tags if attrs.get("class") == "scroll"]
    assert all(attrs["tabindex"] == "0" and attrs["role"] == "region" and attrs["aria-label"] for attrs in scrolling)


@pytest.mark.parametrize("name", ["dispute", "month", "hostile"])
def test_every_verdict_is_on_page_one_and_in_full_with_its_caveats(name: str) -> None:
    settlement, windows, context = CASES[name]()
    html = render(settlement, windows, context)
    first = Page(html[: html.index('id="timelines"')].split("<main>")[1].rsplit("<nav", 1)[0])
    links = {attrs["href"] for tag, attrs in first.tags if tag == "a"}
    assert links == {f"#v{i + 1}" for i in range(len(settlement.verdicts))}
    assert {f"v{i + 1}" for i in range(len(settlement.verdicts))} <= set(Page(html).ids)
    shown = first.text.replace("<U+202E>", "\u202e")
    for verdict in settlement.verdicts:
        assert all(" ".join(caveat.split()) in shown for caveat in verdict.caveats)


def test_page_one_says_what_a_person_needs() -> None:
    text = page("dispute").text
    assert "Provider’s side, 10:02:31 to 10:02:57 (23.8 to 26.9 s), both branches (leeds, york)" in text
    assert "Began 3 March 2026 between 10:02:30.7 and 10:02:32.1, ended between 10:02:56.2 and 10:02:57.6" in text
    assert "what counts is the shortest that it can have lasted: leeds 24.1 s, york 23.8 s" in text
    assert "Customer’s own side, 10:21:30 to 10:21:58 (26.4 to 29.6 s), leeds" in text
    assert "more than one side is possible: ISP, phone provider" in text
    assert "The timestamps come from a test authority" in text
    assert "During V4 : york/w1, clock stepped by 40 ms" in text
    assert text.index("Our own fault") < text.index("2. Timelines")


def test_every_gap_and_trimmed_batch_is_shown() -> None:
    text = page("dispute").text
    assert "batches missing: 301, 310–312; 2 batches kept their signed header while their readings were trimmed" in text
    assert "measured under 2 plans" in text
    assert "Not measured at this site at all: witness, carrier" in text
    settlement, windows, context = report_cases.dispute()
    uncovered = dataclasses.replace(settlement, coverage=settlement.coverage[:1])
    assert "york : no witness covered this site" in Page(render(uncovered, windows, context)).text


def test_what_no_span_covers_is_drawn_as_not_measured() -> None:
    settlement, _, _ = report_cases.nothing_wrong()
    assert 'class="unmeasured" fill="url(#unmeasured)"' not in render(settlement).split('class="timeline"')[1]
    without = tuple(s for s in settlement.spans if s.segment != "router") + tuple(
        dataclasses.replace(s, end=Bounds(MORNING_US + 60 * S, MORNING_US + 60 * S))
        for s in settlement.spans
        if s.segment == "router"
    )
    drawn = render(dataclasses.replace(settlement, spans=without)).split('class="timeline"')[1]
    assert 'class="unmeasured" fill="url(#unmeasured)"' in drawn


def test_down_degraded_and_not_measured_differ_in_shape_not_only_in_colour() -> None:
    settlement, _, _ = report_cases.dispute()
    html = "".join(re.findall(r'<div class="draw"><svg role="img".*?</div>', render(settlement)))
    heights = {state: set() for state in (State.UP, State.UNMEASURED)}
    for state, found in heights.items():
        found |= set(re.findall(rf'height="(\d+)" class="{state}"', html))
    down = set(re.findall(r'height="(\d+)" class="s-provider c(?: thin)?"', html))
    degraded = set(re.findall(r'height="(\d+)" class="s-provider hatched(?: thin)?"', html))
    assert heights == {State.UP: {"4"}, State.UNMEASURED: {"12"}}
    assert (down, degraded) == ({"16"}, {"10"})


@pytest.mark.parametrize("name", ["dispute", "month", "nothing_wrong"])
def test_the_sums_shown_are_the_account_s_and_add_up(name: str) -> None:
    settlement, windows, context = CASES[name]()
    html = render(settlement, windows, context)
    sections = re.findall(r'<section class="sumup">.*?</section>', html, re.DOTALL)
    assert len(sections) == len(settlement.accounts)
    for account, section in zip(settlement.accounts, sections, strict=True):
        shown = [int(n.replace("\u202f", "")) for n in re.findall(r"<td>([\d\u202f]+)</td>", section)]
        assert sum(shown[:-1]) == shown[-1] == account.total_s
        assert [s for s in (p.seconds for p in parts_of(account)) if s] == [s for s in shown[:-1] if s]
        assert f"The lines add up to the month: {account.total_s:,}".replace(",", "\u202f") in section


def test_an_account_that_does_not_add_up_says_so() -> None:
    settlement, _, _ = report_cases.nothing_wrong()
    wrong = dataclasses.replace(settlement.accounts[0], up_s=1)
    assert "THE LINES DO NOT ADD UP" in render(dataclasses.replace(settlement, accounts=(wrong,)))


def test_a_late_post_shows_the_minutes_from_the_first_failing_reading() -> None:
    text = page("dispute").text
    assert "posted 10:16:42, +14 min 9 s" in text
    assert "at least 14 min 9 s ( V1 )" in text
    assert "5f" * 32 in text
    assert "first posted 14 min 11 s after our first failing reading" in text


def test_lost_is_never_shown_as_zero() -> None:
    """A window in which nothing came back has no MOS and no round trip: a cross, and loss of everything."""
    settlement, windows, context = report_cases.dispute()
    dark = [w for w in windows if w.answered == 0]
    assert dark
    assert {loss_centi(w) for w in dark} == {10_000}
    text = Page(render(settlement, windows, context)).text
    assert "median 4.36, worst 4.23; not known in 1 window (cross)" in text
    assert "worst 100 %" in text
    assert "worst 0.0 ms" not in text


def test_mos_always_stands_with_codec_and_jitter_buffer() -> None:
    settlement, windows, context = report_cases.dispute()
    descriptions = re.findall(r"<title>[^<]*MOS-CQE</title><desc>([^<]*)", render(settlement, windows, context))
    assert len(descriptions) == 4
    assert all(d.startswith("MOS-CQE (codec G.711, jitter buffer 60 ms): ") for d in descriptions)


def test_late_packets_count_as_lost() -> None:
    _, windows, _ = report_cases.dispute()
    late = next(w for w in windows if w.late == 2)
    assert loss_centi(late) == 10_000 * 2 // 250


def test_empty_and_clean_settlements_say_that_there_is_nothing() -> None:
    assert "No failure of the telephony was found in what was measured" in page("nothing_wrong").text
    assert "There is none: nothing was measured." in page("empty").text
    assert "No witness covered any of this period." in page("empty").text


def test_a_month_of_twenty_sites_stays_small() -> None:
    settlement, windows, context = report_cases.month(20, 12)
    assert len(settlement.verdicts) == 240
    assert len(render(settlement, windows, context).encode()) < 3_000_000


def test_an_unknown_time_zone_is_told_and_shown_in_utc() -> None:
    settlement, windows, context = report_cases.dispute()
    sites = tuple(dataclasses.replace(s, time_zone="Mars/Olympus") for s in context.sites)
    text = Page(render(settlement, windows, dataclasses.replace(context, sites=sites))).text
    assert "The time zone “Mars/Olympus” is not known here" in text


# --- times ----------------------------------------------------------------------------------------------------------


def test_what_is_printed_is_never_narrower_than_what_was_measured() -> None:
    assert times.between(Bounds(MORNING_US + 1_190_000, MORNING_US + 2_110_000), ZONE_UTC) == (
        "between 10:00:01.1 and 10:00:02.2"
    )
    assert times.lasting(24_190_000, 27_110_000) == "24.1 to 27.2 s"
    assert times.lasting(59_900_000, 61_000_001) == "59.9 s to 1 min 2 s"
    assert times.lasting(25_000_000, 25_000_000) == "25 s"


def test_ticks_are_round_in_the_zone_and_a_day_of_23_hours_is_one_day() -> None:
    london = Zone.named("Europe/London")
    march = times.ticks(MARCH_US + 27 * 86_400 * S, MARCH_US + 31 * 86_400 * S, london)
    assert [text for _, text in march] == ["28 Mar", "29 Mar", "30 Mar", "31 Mar", "1 Apr"]
    assert march[2][0] - march[1][0] == 23 * 3600 * S
    kathmandu = times.ticks(MORNING_US, MORNING_US + 3600 * S, Zone.named("Asia/Kathmandu"))
    assert all(text.endswith(("00", "10", "20", "30", "40", "50")) for _, text in kathmandu)
    assert len(times.ticks(MORNING_US, MORNING_US, ZONE_UTC)) == 1


def test_bounds_that_overlap_are_an_instant_at_least() -> None:
    settlement, windows, context = report_cases.dispute()
    short = dataclasses.replace(settlement.verdicts[0], start=bounds(151, 4), end=bounds(152, 4))
    html = render(dataclasses.replace(settlement, verdicts=(short, *settlement.verdicts[1:])), windows, context)
    assert "Lasted</dt><dd>0 to 5 s" in html
    assert 'width="-' not in html


# --- deadlines ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deadline", "unit", "basis", "due"),
    [
        (30, "day", "month_end", "2026-04-30T23:00"),  # midnight after 30 April, in London's summer time
        (30, "day", "incident", "2026-04-02T23:00"),
        (5, "business_day", "incident", "2026-03-11T00:00"),  # Tuesday 3 March + 5: Tuesday the 10th
        (1, "month_end", "month_end", "2026-04-30T23:00"),
        (1, "billing_cycle", "incident", None),
    ],
)
def test_the_deadline_is_the_contract_s(deadline: int, unit: str, basis: str, due: str | None) -> None:
    contract = _contract(Claim(deadline, unit, basis, "", "", None, ()))
    found = deadlines(missed(), [contract])
    assert len(found) == 1
    wanted = None if due is None else int(datetime.fromisoformat(due).replace(tzinfo=UTC).timestamp()) * S
    assert found[0].due_us == wanted
    assert str(deadline) in found[0].basis


@pytest.mark.parametrize(
    ("billing_day", "due"),
    # The failure is of 3 March: in the cycle from the 1st, or in the one from 15 February.
    [(1, "2026-05-31T23:00"), (15, "2026-05-14T23:00")],
)
def test_the_second_billing_cycle_after_the_incident_ends_before_a_billing_day(billing_day: int, due: str) -> None:
    contract = _contract(Claim(2, "billing_cycle", "incident", "", "", None, ()))
    (found,) = deadlines(missed(), [dataclasses.replace(contract, billing_day=billing_day)])
    assert found.due_us == int(datetime.fromisoformat(due).replace(tzinfo=UTC).timestamp()) * S


def test_holidays_that_the_contract_lists_are_no_business_days() -> None:
    contract = _contract(Claim(5, "business_day", "incident", "", "", None, ()))
    (found,) = deadlines(missed(), [dataclasses.replace(contract, holidays=(date(2026, 3, 9),))])
    assert found.due_us == int(datetime(2026, 3, 12, tzinfo=UTC).timestamp()) * S


def test_a_month_without_a_claim_has_no_deadline() -> None:
    possible, _, _ = report_cases.dispute()  # 24 s of the 26 that five nines allow; the bounds reach beyond
    good, _, _ = report_cases.nothing_wrong()
    assert {a.standing for a in possible.accounts} == {"possible"}
    for settlement in (possible, good):
        assert deadlines(settlement, [_contract(Claim(30, "day", "month_end", "", "", None, ()))]) == ()


def missed() -> Settlement:
    """The dispute, of a length that breaks the promise."""
    settlement, _, _ = report_cases.dispute()
    accounts = tuple(dataclasses.replace(a, met=False, claimed_s=27, downtime_s=27) for a in settlement.accounts)
    return dataclasses.replace(settlement, accounts=accounts)


def _contract(claim: Claim) -> Contract:
    from test_contract import GOOD

    return dataclasses.replace(load(GOOD, "good.toml"), name="voxcloud-2026", claim=claim)
