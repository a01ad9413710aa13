"""`linewitness outages`: sync, import, add, list."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from linewitness.cli import command, table
from linewitness.cli.settle import Instant
from linewitness.errors import CannotDo, UsageProblem, cannot_access

if TYPE_CHECKING:
    from linewitness.fleet import Fleet
    from linewitness.model import OutagePost


@click.group()
def outages() -> None:
    """What the provider's status page says, archived as it said it."""


def _provider(fleet: Fleet, name: str) -> str:
    known = sorted({s.provider for s in fleet.sites()} | {s.carrier for s in fleet.sites() if s.carrier})
    if name not in known:
        raise UsageProblem(f"no site has the provider '{name}'", "--provider", ", ".join(known) or "site add")
    return name


def _summary(value: dict[str, Any]) -> str:
    lines = [f"{s['source']}: {s['posts']} posts" if s["posts"] is not None else f"{s['source']}: unchanged"
             for s in value["snapshots"]]  # fmt: skip
    return "\n".join(lines)


@command(outages, render=_summary)
@click.argument("url")
@click.option("--provider", required=True, help="As in the sites' files.")
def sync(fleet: Fleet, url: str, provider: str) -> object:
    """Fetch a Statuspage v2 and archive what it says, as it says it.

    Ask at most once a minute. Example: linewitness outages sync https://status.example.com --provider acme
    """
    from linewitness.outages.archive import add_snapshot
    from linewitness.outages.fetch import Fetcher

    provider = _provider(fleet, provider)
    fetcher = Fetcher(fleet.root / "outages-sync.json", fleet.contact)
    snapshots = []
    with fleet.ledger() as ledger:
        for fetched in fetcher.page(url):
            count = None
            if fetched.octets is not None:
                at_us = time.time_ns() // 1000
                count = len(add_snapshot(ledger, provider, fetched.url, fetched.octets, at_us))
            snapshots.append({"source": fetched.url, "posts": count})
    fetcher.remember()
    return {"snapshots": snapshots}


@command(outages, name="import", render=_summary)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--provider", required=True, help="As in the sites' files.")
@click.option("--fetched-at", "fetched_us", type=Instant(), help="When a single file was fetched (default: now).")
def import_(fleet: Fleet, paths: tuple[Path, ...], provider: str, fetched_us: int | None) -> object:
    """Archive saved files of a Statuspage v2; folders are read in the order of their files' names.

    Example: linewitness outages import snapshots/ --provider acme
    """
    from linewitness.outages.archive import add_snapshot
    from linewitness.outages.statuspage import parse

    provider = _provider(fleet, provider)
    files = [f for path in paths for f in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    if not files:
        raise CannotDo("no .json files here", ", ".join(map(str, paths)), "a folder of saved snapshots")
    if fetched_us is not None and len(files) > 1:
        raise UsageProblem("--fetched-at goes with a single file", "outages import", "one file at a time")
    contents = []
    for file in files:
        try:
            contents.append((file, file.read_bytes()))
        except OSError as e:
            raise cannot_access(e, file) from e
        parse(contents[-1][1], provider, 0, str(file))  # all of them before any is stored
    now_us = time.time_ns() // 1000 if fetched_us is None else fetched_us
    snapshots = []
    with fleet.ledger() as ledger:
        for i, (file, octets) in enumerate(contents):
            posts = add_snapshot(ledger, provider, file.name, octets, now_us + i)
            snapshots.append({"source": str(file), "posts": len(posts)})
    return {"snapshots": snapshots}


@command(outages, render=lambda post: f"kept {post.incident} of {post.provider}")
@click.option("--provider", required=True, help="As in the sites' files.")
@click.option("--id", "incident", required=True, help="Their reference, or one of your own.")
@click.option("--name", required=True, help="Their headline.")
@click.option("--impact", type=click.Choice(["none", "minor", "major", "critical"]), default="major")
@click.option("--posted", "posted_us", type=Instant(), required=True, help="When they first posted it.")
@click.option("--started", "started_us", type=Instant(), help="When they say it started.")
@click.option("--resolved", "resolved_us", type=Instant(), help="When they say it ended.")
@click.option("--maintenance-from", "scheduled_us", type=Instant(), help="Start of an announced maintenance window.")
@click.option("--maintenance-until", "until_us", type=Instant(), help="Its end.")
def add(
    fleet: Fleet,
    provider: str,
    incident: str,
    name: str,
    impact: str,
    posted_us: int,
    started_us: int | None,
    resolved_us: int | None,
    scheduled_us: int | None,
    until_us: int | None,
) -> object:
    """Keep by hand what a page said that can't be fetched.

    Example: linewitness outages add --provider acme --id 17 --name "Calls fail" --posted 2026-03-01T10:20Z
    """
    from linewitness.model import OutagePost
    from linewitness.outages.archive import add_by_hand

    provider = _provider(fleet, provider)
    if (scheduled_us is None) != (until_us is None):
        raise UsageProblem("a maintenance window has two ends", "outages add", "--maintenance-until")
    for start_us, end_us, option in (
        (started_us, resolved_us, "--resolved"),
        (scheduled_us, until_us, "--maintenance-until"),
    ):
        if start_us is not None and end_us is not None and end_us <= start_us:
            raise UsageProblem("it ends before it starts", option, "a later time")
    post = OutagePost(
        provider, incident, name, impact, "resolved" if resolved_us else "investigating", (), scheduled_us is not None,
        posted_us, posted_us, started_us, resolved_us, scheduled_us, until_us, None, time.time_ns() // 1000, "",
    )  # fmt: skip
    with fleet.ledger() as ledger:
        add_by_hand(ledger, post)
    return post


def _rows(posts: list[OutagePost]) -> str:
    from linewitness.settle.calendar import iso

    def at(value: int | None) -> str | None:
        return None if value is None else iso(value)[:19] + "Z"

    headings = ("provider", "incident", "impact", "posted", "says it started", "says it ended", "name")
    return table(headings, [
        (p.provider, p.incident, p.impact, at(p.posted_at_us), at(p.started_at_us), at(p.resolved_at_us), p.name)
        for p in posts
    ])  # fmt: skip


@command(outages, name="list", render=_rows)
def list_(fleet: Fleet) -> object:
    """List the newest version of every post."""
    from linewitness.outages.archive import read_posts
    from linewitness.settle.posts import newest

    with fleet.ledger() as ledger:
        return newest(read_posts(ledger))
