"""`linewitness outages`: sync, import, add, list, findings."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from linewitness.cli import command, table
from linewitness.cli.settle import Instant
from linewitness.errors import CannotDo, UsageProblem, cannot_access

if TYPE_CHECKING:
    from linewitness.fleet import Fleet
    from linewitness.model import Finding, OutagePost


@click.group()
def outages() -> None:
    """What the provider's status page says, archived as it said it."""


def _provider(fleet: Fleet, name: str) -> str:
    known = sorted({s.provider for s in fleet.sites()} | {s.carrier for s in fleet.sites() if s.carrier})
    if name not in known:
        raise UsageProblem(f"no site has the provider '{name}'", "--provider", ", ".join(known) or "site add")
    return name


def _summary(value: dict[str, Any]) -> str:
    return "\n".join(f"{s['source']}: {s['note'] or str(s['posts']) + ' posts'}" for s in value["snapshots"])


class Kind(click.ParamType):
    """One of the formats by name, or auto: as the octets look."""

    name = "format"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "FORMAT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str | None:
        from linewitness.outages.formats import FORMATS

        if value == "auto":
            return None
        if value not in FORMATS:
            self.fail(f"no format '{value}', there are auto, {', '.join(FORMATS)}", param, ctx)
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from linewitness.outages.formats import FORMATS

        return [CompletionItem(name) for name in ("auto", *FORMATS) if name.startswith(incomplete)]


_format = click.option(
    "--format", "form", type=Kind(), help="statuspage, rss, atom, csv, instatus, incident.io, google; or auto."
)


@command(outages, render=_summary)
@click.argument("url")
@click.option("--provider", required=True, help="As in the sites' files.")
@_format
def sync(fleet: Fleet, url: str, provider: str, form: str | None) -> object:
    """Fetch a status page and archive what it says, as it says it (exit code 3: archived, but can't be read).

    \b
    URL is the page, whose files are fetched by its format (statuspage if none is
    given), or one file of it, such as .../history.atom. Asked at most once a minute.
    Example: linewitness outages sync https://status.example.com --provider acme
    """
    from linewitness.errors import Refused
    from linewitness.outages.archive import add_snapshot
    from linewitness.outages.fetch import Fetcher

    provider = _provider(fleet, provider)
    fetcher = Fetcher(fleet.root / "outages-sync.json", fleet.contact)
    snapshots = []
    unread: Refused | None = None
    try:
        with fleet.ledger() as ledger:
            for fetched in fetcher.page(url, form):
                count = None
                if fetched.octets is not None:
                    at_us = time.time_ns() // 1000
                    try:
                        count = len(add_snapshot(ledger, provider, fetched.url, fetched.octets, at_us, form))
                    except Refused as e:  # archived all the same; the other files of the page are fetched first
                        unread = unread or e
                    fetcher.kept(fetched)
                snapshots.append({"source": fetched.url, "posts": count, "note": fetched.note})
    finally:
        fetcher.remember()
    if unread is not None:
        raise unread
    return {"snapshots": snapshots}


@command(outages, name="import", render=_summary)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--provider", required=True, help="As in the sites' files.")
@_format
@click.option("--fetched-at", "fetched_us", type=Instant(), help="When a single file was fetched (default: now).")
@click.option("--file-times", is_flag=True, help="Take each file's own time as the time of its fetching.")
@click.option("--source", help="What all of these are snapshots of: then they are held against each other.")
@click.option("--keep-unreadable", is_flag=True, help="Archive also what can't be read (exit code 3).")
def import_(
    fleet: Fleet,
    paths: tuple[Path, ...],
    provider: str,
    form: str | None,
    fetched_us: int | None,
    file_times: bool,
    source: str | None,
    keep_unreadable: bool,
) -> object:
    """Archive saved files of a status page; folders are read in the order of their files' names.

    Nothing is stored where one of them can't be read, unless --keep-unreadable says so.

    \b
    Example: linewitness outages import snapshots/ --provider acme --file-times
    """
    from linewitness.errors import Refused
    from linewitness.outages.archive import add_snapshot, read
    from linewitness.outages.formats import SUFFIXES

    provider = _provider(fleet, provider)
    files = [
        f
        for path in paths
        for f in (sorted(p for p in path.iterdir() if p.suffix in SUFFIXES) if path.is_dir() else [path])
    ]
    if not files:
        raise CannotDo(f"no {' '.join(SUFFIXES)} files here", ", ".join(map(str, paths)), "a folder of saved snapshots")
    if fetched_us is not None and (len(files) > 1 or file_times):
        raise UsageProblem("--fetched-at goes with a single file", "outages import", "--file-times, or one at a time")
    now_us = time.time_ns() // 1000 if fetched_us is None else fetched_us
    contents: list[tuple[Path, bytes, int]] = []
    unread: Refused | None = None
    for i, file in enumerate(files):
        try:
            octets = file.read_bytes()
            at_us = file.stat().st_mtime_ns // 1000 if file_times else now_us + i
        except OSError as e:
            raise cannot_access(e, file) from e
        try:
            read(octets, provider, at_us, str(file), form)  # all of them before any is stored
        except Refused as e:
            if not keep_unreadable:
                raise
            unread = unread or e
        contents.append((file, octets, at_us))
    snapshots = []
    with fleet.ledger() as ledger:
        for file, octets, at_us in sorted(contents, key=lambda c: c[2]):
            try:
                posts = add_snapshot(ledger, provider, source or file.name, octets, at_us, form)
                snapshots.append({"source": str(file), "posts": len(posts), "note": ""})
            except Refused:
                snapshots.append({"source": str(file), "posts": None, "note": "kept, but can't be read"})
    if unread is not None:
        raise unread
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


def _found(rows: list[Finding]) -> str:
    return "\n".join(f"{f.kind}: {f.subject}: {f.text}" for f in rows) or "nothing is found in the archive"


@command(outages, render=_found)
def findings(fleet: Fleet) -> object:
    """What the archive shows by itself: edits, back-dating, shortened outages, posts taken away, overruns.

    How late a post came is said by `linewitness settle`, which knows our readings.
    """
    from linewitness.outages import archive, history
    from linewitness.settle import posts

    with fleet.ledger() as ledger:
        archived = archive.snapshots(ledger)
        return [*history.findings(archived), *posts.findings(archive.read_posts(ledger, archived), [], {})]
