"""Status pages: parsed with their traps, archived raw, fetched politely, held against their own earlier versions."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from branch_story import SECOND, T0
from click.testing import CliRunner

from linewitness import cli
from linewitness.errors import CannotDo, Refused
from linewitness.fleet import Fleet
from linewitness.founding import found_fleet
from linewitness.model import Bounds, OutagePost, Segment, Side, Verdict
from linewitness.outages import fetch, history
from linewitness.outages.archive import add_snapshot, read_posts, snapshots
from linewitness.outages.statuspage import parse
from linewitness.settle.calendar import iso
from linewitness.settle.posts import findings, newest

VECTORS = Path(__file__).parent.parent / "vectors" / "outages"
SITE = """name = "leeds"
isp = "isp-one"
provider = "acme"
time_zone = "UTC"
[network]
kind = "ethernet"
[plan]
batch_s = 60
fail_rounds = 3
clear_rounds = 2
resolvers = []
time_servers = []
[[target]]
name = "gateway"
segment = "router"
method = "icmp"
host = "gateway"
"""


def incident(**changes: Any) -> dict[str, Any]:
    return {
        "id": "n4njzfn1mqy0", "name": "Calls fail", "status": "resolved", "impact": "major",
        "started_at": "2026-03-01T02:02:00.000-08:00", "created_at": "2026-03-01T02:20:00.744-08:00",
        "updated_at": "2026-03-01T02:40:00-08:00", "monitoring_at": None,
        "resolved_at": "2026-03-01T02:37:37.388-08:00",
        "incident_updates": [
            {"status": "resolved", "created_at": "2026-03-01T02:37:37-08:00", "affected_components": None},
            {"status": "investigating", "created_at": "2026-03-01T02:20:00-08:00", "affected_components": [
                {"code": "x", "name": "Voice", "old_status": "operational", "new_status": "major_outage"}]},
        ],
    } | changes  # fmt: skip


def page(*incidents: dict[str, Any]) -> bytes:
    return json.dumps({"page": {"id": "p"}, "incidents": list(incidents)}).encode()


def test_offsets_nulls_and_components_are_read() -> None:
    (post,) = parse(page(incident()), "acme", 5, "saved.json")
    assert (post.incident, post.impact, post.components) == ("n4njzfn1mqy0", "major", ("Voice",))
    assert not post.maintenance
    assert iso(post.started_at_us or 0) == "2026-03-01T10:02:00.000Z"
    assert iso(post.posted_at_us or 0) == "2026-03-01T10:20:00.000Z"
    assert iso(post.resolved_at_us or 0) == "2026-03-01T10:37:37.388Z"
    assert (post.fetched_at_us, len(post.snapshot_sha256)) == (5, 64)
    (still_open,) = parse(page(incident(resolved_at=None, incident_updates=[])), "acme", 5, "saved.json")
    assert (still_open.resolved_at_us, still_open.posted_at_us) == (None, None)


def test_maintenance_keeps_its_announced_window() -> None:
    entry = incident(scheduled_for="2026-03-02T01:00:00Z", scheduled_until="2026-03-02T01:30:00Z")
    octets = json.dumps({"scheduled_maintenances": [entry]}).encode()
    (post,) = parse(octets, "acme", 5, "saved.json")
    assert post.maintenance
    assert iso(post.scheduled_for_us or 0) == "2026-03-02T01:00:00.000Z"


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"<html>bot wall</html>", "no JSON"),
        (b"[]", "neither incidents nor"),
        (b'{"incidents": 5}', "wanted a list"),
        (b'{"incidents": [7]}', "wanted an object"),
        (page(incident(id=None)), "id: wanted text"),
        (page(incident(started_at="2026-03-01 10:02")), "wanted a time with its offset"),
        (page(incident(created_at="yesterday")), "wanted a time with its offset"),
        (b"[" * 100_000, "no JSON"),
    ],
)
def test_what_is_no_status_page_is_refused_with_its_place(octets: bytes, text: str) -> None:
    with pytest.raises(Refused, match=text) as caught:
        parse(octets, "acme", 5, "saved.json")
    assert "saved.json" in caught.value.where


def provider_verdict(start_s: int, end_s: int) -> Verdict:
    start, end = T0 + start_s * SECOND, T0 + end_s * SECOND
    return Verdict(
        "leeds", Segment.PROVIDER, Side.PROVIDER, Bounds(start, start), Bounds(end, end), 99, (), (), (), (), True
    )


def post(**changes: Any) -> OutagePost:
    return replace(parse(page(incident()), "acme", 5, "saved.json")[0], **changes)


def test_a_late_post_is_measured_from_our_first_failing_reading() -> None:
    found = findings([post()], [provider_verdict(120, 600)], {"leeds": "acme"})
    texts = {f.kind: f.text for f in found if f.subject == "acme"}
    assert "first posted 18 min 00 s after our first failing reading" in texts["post_late"]
    assert "started 18 min 00 s before the record" in texts["post_back_dated"]
    assert findings([post(started_at_us=None)], [], {"leeds": "acme"}) == []


def test_edits_between_snapshots_are_found_and_the_newest_counts() -> None:
    first = post()
    second = post(fetched_at_us=9, impact="minor", resolved_at_us=(first.resolved_at_us or 0) - 600 * SECOND)
    texts = [f.text for f in findings([second, first], [], {}) if f.kind == "post_edited"]
    assert len(texts) == 1
    assert "impact major -> minor" in texts[0]
    assert "resolved_at shortened" in texts[0]
    assert newest([second, first]) == [second]


def test_what_is_learnt_while_an_incident_is_open_is_no_edit() -> None:
    first = post(resolved_at_us=None, impact="minor", components=("Voice",))
    second = replace(
        first, fetched_at_us=9, impact="major", components=("Messages", "Voice"), name="Calls fail in Leeds"
    )
    assert [f for f in findings([first, second], [], {}) if f.kind == "post_edited"] == []
    moved = replace(second, fetched_at_us=10, started_at_us=(first.started_at_us or 0) + 600 * SECOND)
    (found,) = [f for f in findings([first, second, moved], [], {}) if f.kind == "post_edited"]
    assert "started_at" in found.text


def test_maintenance_after_the_fact_and_overrun_are_found() -> None:
    window = post(
        maintenance=True, scheduled_for_us=T0, scheduled_until_us=T0 + 1800 * SECOND, created_at_us=T0 + 60 * SECOND,
        resolved_at_us=T0 + 5100 * SECOND,
    )  # fmt: skip
    texts = {f.kind: f.text for f in findings([window], [], {})}
    assert "announced 60 s after its window had begun" in texts["maintenance_after_the_fact"]
    assert "ran 55 min 00 s past its window" in texts["maintenance_overrun"]


# --- commands -------------------------------------------------------------------------------------------------------


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    made, _ = found_fleet(tmp_path / "fleet", "test", ["127.0.0.1"], 8883)
    (made.root / "sites").mkdir(exist_ok=True)
    (made.root / "sites" / "leeds.toml").write_text(SITE)
    return made


def run(fleet: Fleet, *arguments: str) -> Any:
    return CliRunner().invoke(cli.main, ["outages", *arguments, "--fleet", str(fleet.root)])


class Page(BaseHTTPRequestHandler):
    """A status page with weak ETags; asked: (path, If-None-Match, User-Agent)."""

    octets = page(incident())
    asked: list[tuple[str, str | None, str | None]]
    status = 200
    retry_after: str | None = None
    robots: bytes | None = None
    path_there = "/api/v2/incidents.json"
    tagged = True

    def do_GET(self) -> None:
        type(self).asked.append((self.path, self.headers["If-None-Match"], self.headers["User-Agent"]))
        tag = f'W/"{hash(self.octets)}"'
        if self.path == "/robots.txt" and self.robots is not None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.robots)
        elif self.status != 200:
            self.send_response(self.status)
            if self.retry_after is not None:
                self.send_header("Retry-After", self.retry_after)
            self.end_headers()
        elif self.path != self.path_there:
            self.send_error(404)
        elif self.headers["If-None-Match"] == tag:
            self.send_response(304)
            self.end_headers()
        else:
            self.send_response(200)
            if self.tagged:
                self.send_header("ETag", tag)
            self.end_headers()
            self.wfile.write(self.octets)

    def log_message(self, *arguments: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def served() -> Iterator[tuple[type[Page], str]]:
    handler = type("ThisPage", (Page,), {"asked": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page may be asked as often as the test likes."""
    monkeypatch.setattr(fetch, "MIN_INTERVAL_S", 0)


@pytest.mark.usefixtures("hurried")
def test_sync_archives_what_came_and_asks_conditionally(fleet: Fleet, served: tuple[type[Page], str]) -> None:
    handler, url = served
    assert run(fleet, "sync", url, "--provider", "acme").exit_code == 0
    again = run(fleet, "sync", url, "--provider", "acme", "--json")
    assert json.loads(again.stdout)["snapshots"][0]["posts"] is None
    tags = [tag for path, tag, _ in handler.asked if path == "/api/v2/incidents.json"]
    assert tags[0] is None
    assert tags[1] is not None
    assert all(agent and agent.startswith("linewitness/") for _, _, agent in handler.asked)
    handler.octets = page(incident(impact="minor"))
    assert run(fleet, "sync", url, "--provider", "acme").exit_code == 0
    with fleet.ledger() as ledger:
        assert [item.content for item in ledger.items("snapshot")] == [Page.octets, handler.octets]
        assert [p.impact for p in read_posts(ledger)] == ["major", "minor"]


@pytest.mark.parametrize(("status", "hint"), [(403, "import saved files"), (500, "check the address")])
def test_a_refusal_is_one_line_and_nothing_is_stored(
    fleet: Fleet, served: tuple[type[Page], str], status: int, hint: str
) -> None:
    handler, url = served
    handler.status = status
    result = run(fleet, "sync", url, "--provider", "acme")
    assert result.exit_code == 1
    assert f"answered {status}" in result.stderr
    assert hint in result.stderr
    with fleet.ledger() as ledger:
        assert list(ledger.items("snapshot")) == []


def test_an_unreachable_page_is_one_line(fleet: Fleet) -> None:
    result = run(fleet, "sync", "http://127.0.0.1:9", "--provider", "acme")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert run(fleet, "sync", "ftp://127.0.0.1", "--provider", "acme").exit_code == 2


def asked_for(handler: type[Page]) -> list[str]:
    return [path for path, _, _ in handler.asked]


def test_a_page_is_asked_at_most_once_a_minute(fleet: Fleet, served: tuple[type[Page], str]) -> None:
    handler, url = served
    assert run(fleet, "sync", url, "--provider", "acme").exit_code == 0
    count = len(handler.asked)
    again = run(fleet, "sync", url, "--provider", "acme")
    assert (again.exit_code, "asked less than 60 s ago" in again.stdout, len(handler.asked)) == (0, True, count)


@pytest.mark.usefixtures("hurried")
def test_a_page_without_validators_is_not_archived_twice(fleet: Fleet, served: tuple[type[Page], str]) -> None:
    handler, url = served
    handler.tagged = False
    for _ in range(3):
        assert run(fleet, "sync", f"{url}/api/v2/incidents.json", "--provider", "acme").exit_code == 0
    with fleet.ledger() as ledger:
        assert len(list(ledger.items("snapshot"))) == 1


@pytest.mark.usefixtures("hurried")
def test_a_failing_page_is_left_alone_for_longer_and_longer(fleet: Fleet, served: tuple[type[Page], str]) -> None:
    handler, url = served
    clock = [1_000_000.0]
    fetcher = fetch.Fetcher(fleet.root / "memory.json", "it@acme.example", lambda: clock[0])
    list(fetcher.page(url))
    handler.status = 503
    pauses = []
    for _ in range(9):
        with pytest.raises(CannotDo, match="answered 503"):
            list(fetcher.page(url))
        before = len(handler.asked)
        with pytest.raises(CannotDo, match="not asked again before"):
            list(fetcher.page(url))
        assert len(handler.asked) == before
        (host,) = fetcher.hosts.values()
        pauses.append(host["not_before"] - clock[0])
        clock[0] = host["not_before"]
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    fetcher.remember()
    handler.status = 200
    later = fetch.Fetcher(fleet.root / "memory.json", "it@acme.example", lambda: clock[0])
    assert [f.octets for f in later.page(url)] == [Page.octets, None]
    assert all("not_before" not in host for host in later.hosts.values())


def test_retry_after_is_obeyed(fleet: Fleet, served: tuple[type[Page], str]) -> None:
    handler, url = served
    handler.status, handler.retry_after = 429, "900"
    fetcher = fetch.Fetcher(fleet.root / "memory.json", "", lambda: 5_000.0)
    with pytest.raises(CannotDo, match="answered 429"):
        list(fetcher.page(url))
    assert [host["not_before"] for host in fetcher.hosts.values()] == [5_900]
    handler.retry_after = "Thu, 01 Jan 1970 02:00:00 GMT"
    fetcher = fetch.Fetcher(fleet.root / "memory.json", "", lambda: 5_000.0)
    with pytest.raises(CannotDo, match="answered 429"):
        list(fetcher.page(url))
    assert [host["not_before"] for host in fetcher.hosts.values()] == [7_200]


def test_robots_txt_is_obeyed_and_read_once_a_day(fleet: Fleet, served: tuple[type[Page], str]) -> None:
    handler, url = served
    handler.robots = b"User-agent: *\nDisallow: /api/\n"
    for _ in range(2):
        refused = run(fleet, "sync", url, "--provider", "acme")
        assert (refused.exit_code, "its robots.txt asks programs to stay away" in refused.stderr) == (1, True)
    assert asked_for(handler) == ["/robots.txt"]
    handler.robots = b"User-agent: linewitness\nAllow: /api/\n\nUser-agent: *\nDisallow: /\n"
    (fleet.root / "outages-sync.json").unlink()
    assert run(fleet, "sync", url, "--provider", "acme").exit_code == 0


@pytest.mark.usefixtures("hurried")
def test_what_can_not_be_read_is_archived_all_the_same(fleet: Fleet, served: tuple[type[Page], str]) -> None:
    handler, url = served
    handler.octets = b'{"incidents": ['
    result = run(fleet, "sync", url, "--provider", "acme")
    assert (result.exit_code, result.stderr.count("\n")) == (3, 1)
    assert "kept in the archive as it came" in result.stderr
    with fleet.ledger() as ledger:
        assert [item.content for item in ledger.items("snapshot")] == [handler.octets]
        assert read_posts(ledger) == []
    found = run(fleet, "findings")
    assert "post_unreadable: acme:" in found.stdout
    handler.octets = page(incident())
    assert run(fleet, "sync", url, "--provider", "acme").exit_code == 0
    with fleet.ledger() as ledger:
        assert len(read_posts(ledger)) == 1


def test_a_feed_is_fetched_by_its_address_or_format(fleet: Fleet, served: tuple[type[Page], str]) -> None:
    handler, url = served
    handler.octets = (VECTORS / "history.atom").read_bytes()
    handler.path_there = "/history.atom"
    assert run(fleet, "sync", url, "--provider", "acme", "--format", "atom").exit_code == 0
    assert asked_for(handler)[-1] == "/history.atom"
    (fleet.root / "outages-sync.json").unlink()
    assert run(fleet, "sync", f"{url}/history.atom", "--provider", "acme").exit_code == 0
    listed = json.loads(run(fleet, "list", "--json").stdout)
    assert [p["incident"] for p in listed] == ["feed/m41ntenance", "feed/n4njzfn1mqy0"]
    assert run(fleet, "sync", url, "--provider", "acme", "--format", "gopher").exit_code == 2


def test_import_takes_a_folder_of_snapshots_in_order_or_nothing(fleet: Fleet, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "1.json").write_bytes(page(incident()))
    (folder / "2.json").write_bytes(page(incident(name="Calls failed")))
    assert run(fleet, "import", str(folder), "--provider", "acme").exit_code == 0
    listed = run(fleet, "list", "--json")
    assert [p["name"] for p in json.loads(listed.stdout)] == ["Calls failed"]
    (folder / "3.json").write_bytes(b"{")
    result = run(fleet, "import", str(folder), "--provider", "acme")
    assert (result.exit_code, "3.json" in result.stderr) == (3, True)
    with fleet.ledger() as ledger:
        assert len(list(ledger.items("snapshot"))) == 2


def test_an_entry_by_hand_is_kept(fleet: Fleet) -> None:
    arguments = ("--provider", "acme", "--id", "17", "--name", "Calls fail", "--posted", "2026-03-01T10:20:00Z")
    assert run(fleet, "add", *arguments).exit_code == 0
    with fleet.ledger() as ledger:
        (got,) = read_posts(ledger)
    assert (got.incident, iso(got.posted_at_us or 0)) == ("17", "2026-03-01T10:20:00.000Z")
    assert run(fleet, "add", *arguments[:-1], "soon").exit_code == 2


@pytest.mark.parametrize(("start", "end"), [("--started", "--resolved"), ("--maintenance-from", "--maintenance-until")])
def test_an_entry_that_ends_before_it_starts_is_wrong_usage(fleet: Fleet, start: str, end: str) -> None:
    arguments = ("--provider", "acme", "--id", "17", "--name", "x", "--posted", "2026-03-01T10:20:00Z")
    result = run(fleet, "add", *arguments, start, "2026-03-01T10:00:00Z", end, "2026-03-01T09:00:00Z")
    assert (result.exit_code, result.stderr) == (2, f"error: it ends before it starts ({end}); try: a later time\n")


def test_a_provider_that_no_site_has_is_wrong_usage(fleet: Fleet) -> None:
    result = run(fleet, "sync", "http://127.0.0.1:9", "--provider", "acne")
    assert result.exit_code == 2
    assert "try: acme" in result.stderr


# --- the archive against itself -------------------------------------------------------------------------------------


def archived(fleet: Fleet, *pages: tuple[int, bytes]) -> list[str]:
    """Archive snapshots of one page at seconds after T0; return what they say of each other."""
    with fleet.ledger() as ledger:
        for at_s, octets in pages:
            add_snapshot(ledger, "acme", "https://status.example.com/api/v2/incidents.json", octets, T0 + at_s * SECOND)
        return [f"{f.kind}: {f.text}" for f in history.findings(snapshots(ledger))]


def old(incident_id: str = "old") -> dict[str, Any]:
    created = {"created_at": "2026-02-01T00:00:00Z", "started_at": "2026-02-01T00:00:00Z"}
    return incident(id=incident_id, incident_updates=[created | {"status": "resolved"}], **created)


def test_a_post_dated_before_a_snapshot_without_it_is_found(fleet: Fleet) -> None:
    (found,) = archived(fleet, (1800, page(old())), (2400, page(incident(), old())))  # posted at 10:20, so they say
    assert found.startswith(
        "post_back_dated: n4njzfn1mqy0: says it was posted at 2026-03-01T10:20:00Z, but the page as"
    )
    assert "fetched at 2026-03-01T10:30:00Z" in found
    with fleet.ledger() as ledger:
        assert history.absent_until(snapshots(ledger)) == {("acme", "n4njzfn1mqy0"): T0 + 1800 * SECOND}


def test_a_post_in_time_or_one_that_moved_into_a_short_list_is_not_accused(fleet: Fleet) -> None:
    assert archived(fleet, (1260, page(old())), (2400, page(incident(), old()))) == []
    newer = incident(id="newer", incident_updates=[{"status": "resolved", "created_at": "2026-03-01T11:00:00Z"}])
    found = archived(fleet, (5000, page(newer)), (5400, page(incident())))  # the newest was taken away from a full list
    assert [text.split(": ")[:2] for text in found] == [["post_withdrawn", "newer"]]


def test_a_post_that_is_taken_away_is_found(fleet: Fleet) -> None:
    (found,) = archived(fleet, (1800, page(incident(), old())), (2400, page(old())))
    assert found.startswith("post_withdrawn: n4njzfn1mqy0: was on the page at 2026-03-01T10:30:00Z")
    assert archived(fleet, (3000, page())) == [found]  # an empty page proves nothing more


def test_when_a_page_states_no_time_of_posting_the_first_sight_of_it_counts() -> None:
    seen = T0 + 1500 * SECOND
    unstated = post(created_at_us=None, posted_at_us=None, fetched_at_us=seen)
    (found,) = [
        f for f in findings([unstated], [provider_verdict(120, 600)], {"leeds": "acme"}) if f.kind == "post_late"
    ]
    assert "first seen on their page, which states no time of posting, 23 min 00 s after" in found.text
    much_later = replace(unstated, fetched_at_us=T0 + 10**6 * SECOND)
    assert findings([much_later], [provider_verdict(120, 600)], {"leeds": "acme"}) == []


def test_a_window_moved_afterwards_and_an_early_start_are_found() -> None:
    hour = 3600 * SECOND
    first = post(maintenance=True, scheduled_for_us=T0, scheduled_until_us=T0 + hour, created_at_us=T0 - 48 * hour,
                 started_at_us=T0 - 300 * SECOND, resolved_at_us=None)  # fmt: skip
    second = replace(first, fetched_at_us=9, scheduled_until_us=T0 + 3 * hour)
    texts = {f.kind: f.text for f in findings([first, second], [], {})}
    assert "began 5 min 00 s before its window" in texts["maintenance_early"]
    assert "scheduled_until 2026-03-01T11:00:00.000Z -> 2026-03-01T13:00:00.000Z" in texts["post_edited"]
    (kept,) = newest([first, replace(second, scheduled_for_us=None)])
    assert kept.scheduled_for_us == T0
