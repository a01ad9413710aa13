"""Every format that a status page may have: the same invented incident, read alike; hostile and broken ones refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linewitness.errors import Refused
from linewitness.model import OutagePost
from linewitness.outages.archive import read
from linewitness.outages.formats import FORMATS, recognise
from linewitness.settle.calendar import iso
from linewitness.settle.posts import findings

VECTORS = Path(__file__).parent.parent / "vectors" / "outages"
FETCHED = 1_772_500_000_000_000  # 3 March 2026


def posts(name: str) -> list[OutagePost]:
    octets = (VECTORS / name).read_bytes()
    form, found = read(octets, "acme", FETCHED, name)
    assert form in FORMATS
    return found


def at(us: int | None) -> str | None:
    return None if us is None else iso(us)[:16]


@pytest.mark.parametrize(
    ("name", "form", "incident", "impact", "posted", "started", "resolved"),
    [
        ("history.atom", "atom", "feed/n4njzfn1mqy0", "major", "10:20", None, "10:37"),
        ("history.rss", "rss", "feed/n4njzfn1mqy0", "major", "10:20", None, "10:37"),
        ("incident-io.rss", "rss", "feed/01K000000000", "major", None, None, "10:37"),
        ("instatus.json", "instatus", "cl1", "critical", None, "10:02", None),
        ("incident-io.json", "incident.io", "01A", "critical", None, None, None),
        ("google.json", "google", "Xz1", "critical", "10:20", "10:02", "10:37"),
        ("page.csv", "csv", "17", "major", "10:20", "10:02", "10:37"),
    ],
)
def test_one_incident_is_read_alike_in_every_format(
    name: str, form: str, incident: str, impact: str, posted: str | None, started: str | None, resolved: str | None
) -> None:
    assert recognise((VECTORS / name).read_bytes()) == form
    (post,) = [p for p in posts(name) if not p.maintenance]
    assert (post.incident, post.name, post.impact) == (incident, "Calls fail", impact)
    said = [at(post.posted_at_us), at(post.started_at_us), at(post.resolved_at_us)]
    assert said == [t if t is None else f"2026-03-01T{t}" for t in (posted, started, resolved)]
    assert (post.provider, post.fetched_at_us, len(post.snapshot_sha256)) == ("acme", FETCHED, 64)


@pytest.mark.parametrize(
    ("name", "incident", "window"),
    [
        ("history.atom", "feed/m41ntenance", ("2026-03-02T01:00", "2026-03-02T01:30")),
        ("instatus.json", "cl2", ("2026-03-02T01:00", "2026-03-02T01:30")),
        ("page.csv", "18", ("2026-03-02T01:00", "2026-03-02T01:30")),
        ("incident-io.json", "01C", ("2026-03-03T01:00", "2026-03-03T01:30")),
        ("incident-io.json", "01B", (None, "2026-03-02T01:30")),
    ],
)
def test_a_maintenance_keeps_its_announced_window(name: str, incident: str, window: tuple[str | None, str]) -> None:
    (post,) = [p for p in posts(name) if p.incident == incident]
    assert post.maintenance
    assert (at(post.scheduled_for_us), at(post.scheduled_until_us)) == window


def test_an_overrun_is_seen_through_a_feed() -> None:
    (post,) = [p for p in posts("history.atom") if p.maintenance]
    assert (at(post.created_at_us), at(post.resolved_at_us)) == ("2026-02-25T09:00", "2026-03-02T02:25")


def test_the_year_of_an_update_is_the_nearest_across_new_year() -> None:
    (post,) = posts("new-year.rss")
    assert (at(post.posted_at_us), at(post.resolved_at_us)) == ("2025-12-31T23:50", "2026-01-01T00:10")


def test_a_zone_that_is_not_known_is_not_guessed() -> None:
    octets = (VECTORS / "history.rss").read_bytes().replace(b" PST", b" IST")
    _, (post,) = read(octets, "acme", FETCHED, "x")
    assert (post.posted_at_us, post.resolved_at_us, post.status) == (None, None, "resolved")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hostile-entities.rss", "EntitiesForbidden"),
        ("hostile-external.rss", "EntitiesForbidden"),
        ("malformed-cut-short.rss", "no XML"),
    ],
)
def test_hostile_and_broken_feeds_are_one_line(name: str, text: str) -> None:
    with pytest.raises(Refused, match=text) as caught:
        posts(name)
    assert name in caught.value.where
    assert "\n" not in caught.value.line()


@pytest.mark.parametrize(
    ("form", "octets", "text"),
    [
        ("rss", b"<html><body>wall</body></html>", "neither RSS nor Atom"),
        ("rss", b"<rss><channel><item><title>x</title></item></channel></rss>", "without a link"),
        ("rss", b"<rss><channel><item><title>x</title><link>a</link><pubDate>soon</pubDate></item></channel></rss>",
         "RFC 822"),
        ("atom", b'<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>1</id><title>x</title>'
         b"<updated>1 March</updated></entry></feed>", "wanted a time"),
        ("rss", b"<?xml version='1.0' encoding='nothing-8'?><rss/>", "no XML"),
        ("instatus", b'{"page": 5}', "no Instatus summary"),
        ("instatus", b'{"page": {}, "activeIncidents": [{"name": 5}]}', "name: wanted text"),
        ("instatus", b'{"page": {}, "activeIncidents": [{}]}', "neither id"),
        ("instatus", b'{"page": {}, "activeMaintenances": [{"name": "x", "start": "2026-03-02T01:00:00Z",'
         b'"duration": "x"}]}',
         "wanted minutes"),
        ("incident.io", b'{"ongoing_incidents": 5}', "wanted a list"),
        ("incident.io", b"{}", "no ongoing_incidents"),
        ("google", b"{}", "wanted an array"),
        ("google", b'[{"id": "x", "begin": "today"}]', "wanted a time"),
        ("csv", b"", "empty"),
        ("csv", b"incident,name\n1,2\n", "'posted' is missing"),
        ("csv", b"incident,name,posted,colour\n", "'colour': not known"),
        ("csv", b"incident,name,posted,name\n", "'name': twice"),
        ("csv", b"incident,name,posted\n1,x\n", "2 cells"),
        ("csv", b"incident,name,posted\n1,,2026-03-02T01:00:00Z\n", "name is empty"),
        ("csv", b"incident,name,posted\n1,x,2026-03-02 01:00\n", "wanted a time"),
        ("csv", b"incident,name,posted,maintenance_from\n1,x,2026-03-02T01:00:00Z,2026-03-02T01:00:00Z\n", "two ends"),
        ("csv", b"incident,name,posted\n1,\xff,x\n", "not UTF-8"),
        ("csv", b'incident,name,posted\n1,"x"y,z\n', "no CSV"),
    ],
)  # fmt: skip
def test_what_is_not_of_its_format_is_refused_with_its_place(form: str, octets: bytes, text: str) -> None:
    with pytest.raises(Refused, match=text) as caught:
        FORMATS[form].parse(octets, "acme", FETCHED, "saved")
    assert "saved" in caught.value.where


def test_what_is_of_no_format_is_refused() -> None:
    for octets in (b"", b"%PDF-1.7", b'{"a": 1}', b"<!DOCTYPE html><html></html>"):
        with pytest.raises(Refused, match="no status page"):
            read(octets, "acme", FETCHED, "saved")


@pytest.mark.parametrize("form", list(FORMATS))
def test_more_than_a_status_page_has_is_refused(form: str) -> None:
    with pytest.raises(Refused, match="larger than 8 MB"):
        FORMATS[form].parse(b" " * (8 << 20) + b"[]", "acme", FETCHED, "saved")


SAMPLES = (
    "history.atom", "history.rss", "incident-io.rss", "instatus.json", "incident-io.json", "google.json", "page.csv",
)  # fmt: skip
ODD = (
    b"0001-01-01T00:00:00+23:59", b"9999-12-31T23:59:59-23:59", b"Mar 99, 25:61 UTC", b"\x00", b"\xff\xfe", b"<",
    b"]]>",
    b"9" * 5000, b"1e999", b"null", b"[]", b"{}", b'"', b"&#xD800;", b"-", b"Fri, 31 Dec 9999 23:59:59 -2359",
)  # fmt: skip


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_whatever_comes_is_read_or_refused_in_one_line(data: st.DataObject) -> None:
    octets = (VECTORS / data.draw(st.sampled_from(SAMPLES))).read_bytes()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(octets)))
        cut = data.draw(st.integers(0, 40))
        octets = octets[:at] + data.draw(st.sampled_from(ODD) | st.binary(max_size=6)) + octets[at + cut :]
    form = data.draw(st.sampled_from(list(FORMATS)) | st.none())
    try:
        _, found = read(octets, "acme", FETCHED, "saved", form)
    except Refused as e:
        found, said = [], e.line()
    else:
        said = "read"
    assert said
    assert "\n" not in said
    assert all(isinstance(p, OutagePost) for p in found)
    findings(found, [], {})


def test_times_at_the_edge_of_the_calendar_are_refused_or_no_times() -> None:
    with pytest.raises(Refused, match="wanted a time"):
        read(b"incident,name,posted\n1,x,9999-12-31T23:59:59-23:59", "acme", FETCHED, "saved")
    head = b'[{"id": "x", "begin": "2026-03-01T10:02:00Z", "end": '
    _, (post,) = read(head + b'"0001-01-01T00:00:00Z"}]', "acme", FETCHED, "saved")
    assert (post.resolved_at_us, post.status) == (None, "")
    long = b'{"page": {}, "activeMaintenances": [{"name": "x", "start": "2026-03-02T01:00:00Z", "duration": "%s"}]}'
    with pytest.raises(Refused, match="wanted minutes"):
        read(long % (b"9" * 5000), "acme", FETCHED, "saved")


def test_deeply_nested_xml_is_read_or_refused() -> None:
    for depth in (1_000, 200_000):
        octets = b"<rss><channel>" + b"<a>" * depth + b"</a>" * depth + b"</channel></rss>"
        assert read(octets, "acme", FETCHED, "saved")[1] == []
