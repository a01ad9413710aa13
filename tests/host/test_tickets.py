"""Tickets: appended and never edited, the contract's clocks, what is due by when, the calendar, the text to send."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import icalendar
import pytest
from branch_story import SECOND, T0
from click.testing import CliRunner
from test_contract import GOOD
from test_outages import SITE

from linewitness import cli
from linewitness.errors import CannotDo, Refused, UsageProblem
from linewitness.fleet import Fleet
from linewitness.founding import found_fleet
from linewitness.model import (
    Account,
    Bounds,
    Breach,
    Citation,
    Exclusion,
    Reason,
    Segment,
    Settlement,
    Side,
    Ticket,
    TicketAct,
    Verdict,
)
from linewitness.settle.contract import Contract, load
from linewitness.tickets import claims, events, sheet
from linewitness.tickets.clocks import clocks, priority_of
from linewitness.tickets.draft import draft
from linewitness.tickets.due import due
from linewitness.tickets.events import Entry
from linewitness.tickets.ics import calendar
from linewitness.tickets.incidents import incidents

MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
NOW = T0 + DAY


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    made, _ = found_fleet(tmp_path / "fleet", "test", ["127.0.0.1"], 8883)
    for name, isp in (("leeds", "isp-one"), ("york", "isp-two")):
        text = SITE.replace('"leeds"', f'"{name}"').replace("isp-one", isp)
        (made.root / "sites" / f"{name}.toml").write_text(text)
    (made.contracts / "acme.toml").write_text(GOOD)
    return made


def run(fleet: Fleet, *arguments: str) -> Any:
    return CliRunner().invoke(cli.main, [*arguments, "--fleet", str(fleet.root)])


def entry(act: str, minutes: float, text: str = "", corrects: int | None = None, sites: tuple[str, ...] = ()) -> Entry:
    at_us = T0 + int(minutes * MINUTE)
    return Entry(TicketAct(act), at_us, text, sites, "P1" if act == "opened" else "", corrects)


def told(fleet: Fleet, *entries: Entry) -> Ticket:
    with fleet.ledger() as book:
        for i, one in enumerate(entries):
            events.record(book, "acme", "INC-1", one, NOW + i)
        return events.ticket(book, "acme", "INC-1")


def contract(**changes: str) -> Contract:
    text = GOOD
    for old, new in changes.items():
        text = text.replace(old, new)
    return load(text, "test")


def verdict(site: str = "leeds", start_s: int = 120, end_s: int = 600, side: Side = Side.PROVIDER) -> Verdict:
    cited = Citation("w1", 3, 9, "edge-sip", Segment.PROVIDER, 60, 0, 0, 0)
    clear = Citation("w1", 3, 9, "gateway", Segment.ROUTER, 60, 60, 0, 0)
    start, end = T0 + start_s * SECOND, T0 + end_s * SECOND
    segment = Segment.PROVIDER if side is Side.PROVIDER else Segment.LAN if side is Side.CUSTOMER else None
    return Verdict(
        site, segment, side, Bounds(start, start + SECOND), Bounds(end, end + SECOND), 97,
        (Reason("the edge answered none of 60", (cited,)),),
        (Side.ISP, Side.PROVIDER) if side is Side.UNDETERMINED else (),
        (Exclusion(Side.CUSTOMER, Reason("the gateway answered 60 of 60", (clear,))),),
        ("block at the customer's side not excluded",), True,
    )  # fmt: skip


def settlement(*verdicts: Verdict, end_us: int = T0 + HOUR, claimed_s: int = 480) -> Settlement:
    start_us, month_end = T0 - 9 * DAY, T0 + 30 * DAY + 13 * HOUR
    values = {
        "site": "leeds", "contract": "acme", "commitment": "availability", "month": "2026-03",
        "time_zone": "Europe/London", "start_us": start_us, "end_us": month_end, "total_s": 2_674_800,
        "up_s": 2_674_800 - claimed_s, "claimed_s": claimed_s, "claimed_max_s": claimed_s, "downtime_s": claimed_s,
        "excluded_s": (), "not_claimable_s": (), "unknown_s": 0, "achieved_ppm": 999_820, "target_ppm": 999_900,
        "met": False, "credit_percent_milli": 10_000, "counted_s": 2_674_800, "claims": (),
    }  # fmt: skip
    account = Account(**{f.name: values[f.name] for f in fields(Account)})
    breaches = tuple(Breach(v.site, "availability", v.start, v.end, i) for i, v in enumerate(verdicts))
    empty: dict[str, Any] = {f.name: () for f in fields(Settlement)}
    known = {"method": "m", "start_us": T0, "end_us": end_us, "sites": ("leeds",), "verdicts": verdicts}
    return Settlement(**empty | known | {"breaches": breaches, "accounts": (account,)})


# --- events ---------------------------------------------------------------------------------------------------------


def test_a_correction_is_a_new_event_and_the_old_one_stays(fleet: Fleet) -> None:
    one = told(fleet, entry("opened", 5), entry("answered", 30, "seen"), entry("answered", 20, "seen", 2))
    assert [(e.act, e.at_us) for e in one.events] == [("opened", T0 + 5 * MINUTE), ("answered", T0 + 20 * MINUTE)]
    with fleet.ledger() as book:
        assert [r.replaced for r in events.history(book, "acme", "INC-1")] == [False, True, False]
        assert len(list(book.items("ticket"))) == 3


def test_a_ticket_ends_and_is_reopened(fleet: Fleet) -> None:
    one = told(fleet, entry("opened", 5), entry("restored", 60), entry("closed", 70))
    assert one.ended_us == T0 + 60 * MINUTE
    with fleet.ledger() as book:
        assert events.record(book, "acme", "INC-1", entry("reopened", 80), NOW).ended_us is None


@pytest.mark.parametrize(
    ("one", "error", "text"),
    [
        (entry("opened", 6), CannotDo, "is there already"),
        (entry("answered", 4), UsageProblem, "before the ticket was opened"),
        (entry("answered", 60 * 24 + 10), UsageProblem, "in the future"),
        (entry("answered", 6, corrects=1), UsageProblem, "event 1 is 'opened', not 'answered'"),
        (entry("answered", 6, corrects=7), UsageProblem, "no event 7"),
    ],
)
def test_what_can_not_have_happened_is_refused(fleet: Fleet, one: Entry, error: type[Exception], text: str) -> None:
    told(fleet, entry("opened", 5))
    with fleet.ledger() as book, pytest.raises(error, match=text):
        events.record(book, "acme", "INC-1", one, NOW)
    with fleet.ledger() as book, pytest.raises(CannotDo, match="no ticket 'INC-2'"):
        events.record(book, "acme", "INC-2", entry("answered", 6), NOW)


# --- clocks ---------------------------------------------------------------------------------------------------------


def standing(one: Ticket, deal: Contract, now_us: int) -> list[tuple[str, float, bool, bool]]:
    priority = priority_of(one, [deal])
    assert priority is not None
    return [(c.name, (c.due_us - T0) / MINUTE, c.running, c.missed) for c in clocks(one, priority, now_us)]


def test_clocks_run_from_the_opening_and_stop_at_what_they_wait_for(fleet: Fleet) -> None:
    opened = told(fleet, entry("opened", 0))
    now_us = T0 + 20 * MINUTE
    runs = [("response", 15.0, True, True), ("update", 60.0, True, False), ("restore", 240.0, True, False)]
    assert standing(opened, contract(), now_us) == runs
    with fleet.ledger() as book:
        for one in (entry("answered", 10), entry("updated", 90), entry("restored", 300)):
            opened = events.record(book, "acme", "INC-1", one, NOW)
    assert standing(opened, contract(), NOW) == [
        ("response", 15.0, False, False),
        ("update", 60.0, False, False),
        ("update", 70.0, False, True),  # the word of minute 10 wound it up; the next came at 90
        ("update", 150.0, False, True),
        ("restore", 240.0, False, True),
    ]


def test_business_hours_stop_the_clock_at_night(fleet: Fleet) -> None:
    text = GOOD.replace('hours = "24x7"', 'hours = "business"') + (
        '[business_hours]\ndays = ["mon", "tue", "wed", "thu", "fri"]\nopens = "09:00"\ncloses = "17:00"\n'
    )
    one = told(fleet, entry("opened", 0))  # Sunday, 1 March 2026, 10:00 in London
    due_min = {name: due for name, due, _, _ in standing(one, load(text, "test"), T0)}
    monday_nine = 23 * 60.0
    wanted = {"response": monday_nine + 15, "update": monday_nine + 60, "restore": monday_nine + 240}
    assert due_min == wanted


def test_a_reopened_ticket_has_its_clocks_anew(fleet: Fleet) -> None:
    one = told(fleet, entry("opened", 0), entry("restored", 60), entry("reopened", 100))
    assert standing(one, contract(), T0 + 110 * MINUTE)[-3:] == [
        ("response", 115.0, True, False), ("update", 160.0, True, False), ("restore", 340.0, True, False),
    ]  # fmt: skip
    assert standing(one, contract(), T0 + 110 * MINUTE)[0] == ("response", 15.0, False, True)  # it was late before


# --- due ------------------------------------------------------------------------------------------------------------

SITES = {"leeds": "acme", "york": "acme"}


def test_claims_clocks_reviews_and_renewals_stand_by_time(fleet: Fleet) -> None:
    deal = load(
        GOOD.replace("effective_from = 2026-01-01", "effective_from = 2026-01-01\neffective_until = 2027-01-01")
        + '[[compliance]]\nname = "failover test"\nclause = "9"\nrequirement = "twice a year"\nevidence = ["report"]\n'
        "reviewed = 2026-01-31\nreview_months = 1\n",
        "test",
    )
    found = due(settlement(verdict()), [deal], [told(fleet, entry("opened", 0))], {}, T0 + 5 * MINUTE, SITES)
    at = [(d.kind, d.whose, datetime.fromtimestamp((d.at_us or 0) / SECOND, UTC).isoformat()[:16]) for d in found]
    assert at == [
        ("review", "customer", "2026-02-28T00:00"),
        ("response", "provider", "2026-03-01T10:15"),
        ("update", "provider", "2026-03-01T11:00"),
        ("restore", "provider", "2026-03-01T14:00"),
        ("claim", "customer", "2026-04-30T23:00"),
        ("renewal", "customer", "2027-01-01T00:00"),
    ]
    assert found[0].late(T0)


def test_a_contract_that_has_ended_asks_for_nothing_and_gives_no_clocks(fleet: Fleet) -> None:
    duty = (
        '[[compliance]]\nname = "failover test"\nclause = "9"\nrequirement = "twice a year"\nevidence = ["report"]\n'
        "review_months = 1\n"
    )
    text = GOOD.replace("deadline = 30", "deadline = 30\nneeds_ticket_within_h = 24") + duty
    from_, until = "effective_from = 2026-01-01", "effective_until = 2026-03-01"
    ended = load(text.replace(from_, f"{from_}\n{until}").replace("response_min = 15", "response_min = 5"), "old")
    renewed = load(text.replace(from_, "effective_from = 2026-03-01"), "new")
    one = told(fleet, entry("opened", 0, sites=("york",)))

    def kinds(deal: Contract, ticket: Ticket) -> list[str]:
        return [d.kind for d in due(settlement(verdict()), [deal], [ticket], {}, T0, SITES)]

    assert kinds(ended, one) == ["claim"]  # what was claimed while it held
    assert kinds(renewed, one) == ["review", "response", "update", "restore", "ticket", "claim"]
    priority = priority_of(one, [ended, renewed])
    assert priority is not None
    assert priority.response_min == 15


def test_a_filed_claim_is_no_longer_due_but_its_decision_is() -> None:
    deal = load(GOOD.replace("deadline = 30", "deadline = 30\ndecision_days = 45"), "test")
    event = claims.ClaimEvent("acme", "2026-03", claims.ClaimAct.FILED, T0, "C-1", "", None)
    found = due(settlement(verdict()), [deal], [], {("acme", "2026-03"): [event]}, T0, SITES)
    assert [(d.kind, d.at_us) for d in found] == [("decision", T0 + 45 * DAY)]


def test_a_failure_without_a_ticket_that_the_contract_wants_is_due_until_its_hours_are_over(fleet: Fleet) -> None:
    deal = load(GOOD.replace("deadline = 30", "deadline = 30\nneeds_ticket_within_h = 24"), "test")
    settled = settlement(verdict())

    def kinds(tickets: list[Ticket], now_us: int) -> list[str]:
        return [d.kind for d in due(settled, [deal], tickets, {}, now_us, SITES) if d.kind == "ticket"]

    assert kinds([], T0 + HOUR) == ["ticket"]
    assert kinds([], T0 + 2 * DAY) == []
    ended_before = told(fleet, entry("opened", 0), entry("closed", 1))
    assert kinds([ended_before], T0 + HOUR) == ["ticket"]
    with fleet.ledger() as book:
        in_time = events.record(book, "acme", "INC-2", entry("opened", 30), NOW)
        elsewhere = events.record(book, "acme", "INC-3", entry("opened", 30, sites=("york",)), NOW)
    assert kinds([elsewhere], T0 + HOUR) == ["ticket"]
    assert kinds([in_time], T0 + HOUR) == []


def test_the_calendar_is_what_another_reader_reads() -> None:
    deal = load(
        GOOD.replace("[claim]", '[claim]\nsubject = "SLA; Claim, Straße \\\\ 1 und noch mehr Wörter hinterher"'), "t"
    )
    found = due(settlement(verdict()), [deal], [], {}, T0, SITES)
    octets = calendar(found, "acme; fleet", T0)
    assert all(len(line) <= 75 for line in octets.split(b"\r\n"))
    assert octets.replace(b"\r\n", b"").count(b"\n") == 0
    read = icalendar.Calendar.from_ical(octets)
    (event,) = read.walk("VEVENT")
    assert event.decoded("dtstart") == datetime(2026, 4, 30, 23, 0, tzinfo=UTC)
    assert str(event["summary"]) == "claim: acme"
    assert "SLA; Claim, Straße \\ 1 und noch mehr Wörter hinterher" in str(event["description"])
    again = icalendar.Calendar.from_ical(calendar(found, "acme; fleet", T0 + DAY))
    assert str(again.walk("VEVENT")[0]["uid"]) == str(event["uid"])


# --- the text to send -----------------------------------------------------------------------------------------------


def test_the_draft_says_what_was_measured_whose_side_and_what_excludes_the_others() -> None:
    deal = load(GOOD.replace("deadline = 30", "deadline = 30\nneeds_ticket_within_h = 24"), "test")
    (one,) = incidents(settlement(verdict(), verdict("york", 121, 590)), SITES, {})
    text = draft(one, "acme", [deal], "ab12", "it@acme.example")
    assert text.subject == "Fault: no calls at leeds, york on 2026-03-01 10:02:01"
    assert text.by_us == T0 + 120 * SECOND + DAY
    for wanted in (
        "leeds: began between 2026-03-01 10:02:00 and 10:02:01, ended between 2026-03-01 10:10:00 and 10:10:01;",
        "at least 7 min 59 s",
        "By these readings the fault is on your side (provider; 97 % sure)",
        "the edge answered none of 60 [edge-sip 0 of 60 answered (w1 batches 3..9)]",
        "not our own side: the gateway answered 60 of 60",
        "Caveat: block at the customer's side not excluded",
        "your own records for these sites",
        "the records of the provider count",
        "Under contract acme:\n- priority P1: response 15 min, update 60 min, restore 240 min;\n"
        "- a ticket is due within 24 h: this is it.\n",
        "ab12",
    ):
        assert wanted in text.body, wanted


def test_the_draft_has_the_terms_of_every_contract_with_the_provider() -> None:
    deals = [
        load(GOOD.replace("deadline = 30", f"deadline = 30\nneeds_ticket_within_h = {hours}"), "test")
        for hours in (24, 4)
    ]
    (one,) = incidents(settlement(verdict()), SITES, {})
    text = draft(one, "acme", deals, "ab12", "")
    assert [h for h in (24, 4) if f"a ticket is due within {h} h" in text.body] == [24, 4]
    assert text.by_us == T0 + 120 * SECOND + 4 * HOUR


def test_the_draft_of_an_undetermined_failure_accuses_nobody() -> None:
    open_one = settlement(verdict(side=Side.UNDETERMINED), end_us=T0 + 600 * SECOND)
    (one,) = incidents(open_one, SITES, {})
    text = draft(one, "acme", [], "ab12", "")
    assert "can't be told from what we measured; it could be: the access line (our ISP), your side" in text.body
    assert "the fault is on" not in text.body
    assert "not over at" in text.body
    assert "restoration of the service" in text.body


def test_sites_that_fail_together_are_one_incident() -> None:
    together = settlement(
        verdict("leeds"),
        verdict("york", 125, 590),
        verdict("leeds", 2000, 2100),
        verdict("york", 120, 600, Side.CUSTOMER),
    )
    found = incidents(together, SITES, {})
    assert [(i.side, i.sites) for i in found] == [
        (Side.CUSTOMER, ("york",)),
        (Side.PROVIDER, ("leeds", "york")),
        (Side.PROVIDER, ("leeds",)),
    ]
    other = incidents(together, {"leeds": "acme", "york": "other"}, {})
    assert [i.sites for i in other if i.side is Side.PROVIDER] == [("leeds",), ("york",), ("leeds",)]


# --- commands -------------------------------------------------------------------------------------------------------


def test_a_ticket_from_opening_to_close(fleet: Fleet) -> None:
    made = run(fleet, "ticket", "open", "INC-7", "--provider", "acme", "--site", "leeds", "--priority", "P1",
               "--at", "2026-03-01T10:05:00Z")  # fmt: skip
    assert made.exit_code == 0, made.output
    assert "restore   2026-03-01T14:05:00Z" in made.stdout
    for verb, at in (("answer", "10:15"), ("update", "10:40"), ("restore", "11:00"), ("close", "12:00")):
        done = run(fleet, "ticket", verb, "INC-7", "--at", f"2026-03-01T{at}:00Z", "--text", f"they {verb}")
        assert done.exit_code == 0, done.output
    shown = json.loads(run(fleet, "ticket", "show", "INC-7", "--json").stdout)
    assert (shown["state"], shown["sites"]) == ("ended 2026-03-01T11:00:00Z", ["leeds"])
    assert [c["missed"] for c in shown["clocks"]] == [False] * 5
    fixed = run(fleet, "ticket", "answer", "INC-7", "--at", "2026-03-01T10:25:00Z", "--corrects", "2")
    assert "corrected" in fixed.stdout
    (row,) = json.loads(run(fleet, "ticket", "list", "--json").stdout)
    assert row["missed"] == ["response"]
    assert json.loads(run(fleet, "ticket", "list", "--open", "--json").stdout) == []


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("open", "1", "--provider", "acne"), 2, "try: acme"),
        (("open", "1", "--provider", "acme", "--site", "bath"), 2, "no site 'bath'"),
        (("open", "1", "--provider", "isp-one", "--site", "york"), 2, "another provider"),
        (("open", "1", "--provider", "acme", "--priority", "P9"), 2, "try: P1"),
        (("open", " ", "--provider", "acme"), 2, "no ticket number"),
        (("answer", "1"), 1, "no ticket '1'"),
        (("answer", "1", "--at", "soon"), 2, "wanted a time"),
        (("claim", "filed", "--contract", "x", "--month", "2026-03"), 2, "try: acme"),
        (("claim", "filed", "--contract", "acme", "--month", "March"), 2, "no month"),
        (("claim", "granted", "--contract", "acme", "--month", "2026-03"), 1, "no claim"),
        (("claim", "filed", "--contract", "acme", "--month", "2026-03", "--amount", "1.234"), 2, "wanted an amount"),
        (("draft",), 1, "nothing to report"),
        (("draft", "--site", "bath"), 2, "no site 'bath'"),
        (("import", "nowhere.csv", "--provider", "acme"), 1, "no such file"),
    ],
)
def test_bad_input_is_one_line(fleet: Fleet, arguments: tuple[str, ...], code: int, text: str) -> None:
    result = run(fleet, "ticket", *arguments)
    assert (result.exit_code, text in result.stderr, result.stderr.count("\n")) == (code, True, 1), result.output


SHEET = """number,act,at,text,sites,priority
INC-9,restored,2026-03-01T11:00:00Z,well,,
INC-9,opened,2026-03-01T10:05:00Z,calls fail,leeds;york,P1
INC-10,opened,2026-03-02T10:05:00+01:00,again,,
"""


def test_an_import_is_taken_in_once_or_not_at_all(fleet: Fleet, tmp_path: Path) -> None:
    file = tmp_path / "tickets.csv"
    file.write_text(SHEET)
    assert "3 events of 2 tickets" in run(fleet, "ticket", "import", str(file), "--provider", "acme").stdout
    assert "0 events of 0 tickets" in run(fleet, "ticket", "import", str(file), "--provider", "acme").stdout
    with fleet.ledger() as book:
        assert [(t.number, t.sites) for t in events.tickets(book)] == [("INC-9", ("leeds", "york")), ("INC-10", ())]
    file.write_text(SHEET.replace("INC-9", "INC-11").replace("leeds;york", "leeds;bath"))
    assert run(fleet, "ticket", "import", str(file), "--provider", "acme").exit_code == 2
    with fleet.ledger() as book:
        assert len(list(book.items("ticket"))) == 3


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("number,act\n", "'at' is missing"),
        ("number,act,at,colour\n", "'colour': not known"),
        ("number,act,at\n1,burnt,2026-03-01T10:00:00Z\n", "'burnt' is none"),
        ("number,act,at\n1,opened,2026-03-01 10:00\n", "with its offset"),
        ("number,act,at\n1,opened\n", "more or fewer cells"),
        ("number,act,at\n,opened,2026-03-01T10:00:00Z\n", "may not be empty"),
    ],
)
def test_a_sheet_that_is_wrong_is_refused_with_its_line(text: str, wanted: str) -> None:
    with pytest.raises(Refused, match=wanted):
        sheet.parse(text.encode(), "t.csv")


def test_due_lists_and_writes_a_calendar_and_says_by_its_exit_code_what_presses(fleet: Fleet, tmp_path: Path) -> None:
    nothing = run(fleet, "due")
    assert (nothing.exit_code, nothing.stdout) == (0, "nothing is due\n")
    saved = tmp_path / "s.json"
    saved.write_text(settlement(verdict()).to_json())
    late = run(fleet, "due", "--settlement", str(saved), "--ics", str(tmp_path / "d.ics"))
    assert late.exit_code == 4  # its time was over in April
    assert "claim 2026-03 (30 days from the last day of the month)" in late.stdout
    assert icalendar.Calendar.from_ical((tmp_path / "d.ics").read_bytes()).walk("VEVENT")
    filed = run(fleet, "ticket", "claim", "filed", "--contract", "acme", "--month", "2026-03", "--amount", "120.50")
    assert filed.exit_code == 0, filed.output
    assert run(fleet, "due", "--settlement", str(saved)).exit_code == 0
    assert run(fleet, "due", "--site", "bath").exit_code == 2
    with fleet.ledger() as book:
        assert claims.claims(book)["acme", "2026-03"][0].amount_minor == 12_050


def test_the_draft_command_writes_the_newest_failure(fleet: Fleet, tmp_path: Path) -> None:
    saved = tmp_path / "s.json"
    saved.write_text(settlement(verdict(), verdict("york", 900, 1000)).to_json())
    newest = run(fleet, "ticket", "draft", "--settlement", str(saved))
    assert newest.stdout.startswith("Subject: Fault: no calls at york on 2026-03-01 10:15:01\n")
    assert run(fleet, "ticket", "draft", "--settlement", str(saved), "--site", "leeds").stdout.count("leeds") > 1
    own = tmp_path / "own.json"
    own.write_text(settlement(verdict(side=Side.CUSTOMER)).to_json())
    assert run(fleet, "ticket", "draft", "--settlement", str(own)).exit_code == 1
