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
from linewitness.errors import Refused
from linewitness.fleet import Fleet
from linewitness.founding import found_fleet
from linewitness.model import Bounds, OutagePost, Segment, Side, Verdict
from linewitness.outages.archive import read_posts
from linewitness.outages.statuspage import parse
from linewitness.settle.calendar import iso
from linewitness.settle.posts import findings, newest

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

    def do_GET(self) -> None:
        type(self).asked.append((self.path, self.headers["If-None-Match"], self.headers["User-Agent"]))
        tag = f'W/"{hash(self.octets)}"'
        if self.status != 200:
            self.send_error(self.status)
        elif not self.path.endswith("/incidents.json"):
            self.send_error(404)
        elif self.headers["If-None-Match"] == tag:
            self.send_response(304)
            self.end_headers()
        else:
            self.send_response(200)
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
