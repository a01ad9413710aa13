"""The archive of what providers said: every fetch raw in the ledger, with its hash and our time; read back as posts.

A snapshot's item is named PROVIDER, FORMAT, SOURCE (the URL or the file it came from), with tabs between. What could
not be read is kept all the same, as the format `unread`, and tried again whenever the archive is read. An entry made
by hand is an item of kind outage: the JSON of one OutagePost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from linewitness.errors import Refused
from linewitness.model import OutagePost
from linewitness.outages.formats import FORMATS, UNREAD, recognise
from linewitness.plain import build, plain

if TYPE_CHECKING:
    from linewitness.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One fetch as archived: posts is what it says, problem why it could not be read (one of the two is empty)."""

    provider: str
    form: str
    source: str
    fetched_at_us: int
    sha256: str
    posts: tuple[OutagePost, ...]
    problem: str = ""


def read(
    octets: bytes, provider: str, at_us: int, source: str, form: str | None = None
) -> tuple[str, list[OutagePost]]:
    """Return (format, posts) of octets. Raises Refused for what is of no format, or not of the one named."""
    name = form or recognise(octets)
    if name is None:
        raise Refused("no status page that can be read", source, ", ".join(FORMATS))
    return name, FORMATS[name].parse(octets, provider, at_us, source)


def add_snapshot(
    ledger: Ledger, provider: str, source: str, octets: bytes, at_us: int, form: str | None = None
) -> list[OutagePost]:
    """Archive one snapshot and return its posts. Raises Refused for what can't be read, once it is archived too."""
    try:
        name, posts = read(octets, provider, at_us, source, form)
    except Refused as e:
        ledger.add_item("snapshot", "\t".join((provider, UNREAD, source)), octets, at_us)
        raise Refused(f"{e.what} - kept in the archive as it came", e.where, e.try_) from e
    ledger.add_item("snapshot", "\t".join((provider, name, source)), octets, at_us)
    return posts


def add_by_hand(ledger: Ledger, post: OutagePost) -> None:
    """Keep what somebody read on a page that is not fetched."""
    content = json.dumps(plain(post), sort_keys=True, ensure_ascii=False).encode()
    ledger.add_item("outage", post.provider, content, post.fetched_at_us)


def snapshots(ledger: Ledger) -> list[Snapshot]:
    """Return every snapshot in the order in which they were archived."""
    result = []
    for item in ledger.items("snapshot"):
        provider, form, source = (*item.name.split("\t", 2), "", "")[:3]
        posts: list[OutagePost] = []
        problem = ""
        try:
            form, posts = read(item.content, provider, item.recorded_us, source, None if form == UNREAD else form)
        except (Refused, KeyError) as e:
            problem = e.what if isinstance(e, Refused) else f"a format that this version does not know: {form}"
        result.append(Snapshot(provider, form, source, item.recorded_us, item.sha256.hex(), tuple(posts), problem))
    return result


def by_hand(ledger: Ledger) -> list[OutagePost]:
    """Return what was kept by hand, in the order in which it was."""
    result = []
    for item in ledger.items("outage"):
        try:
            result.append(build(OutagePost, json.loads(item.content)))
        except ValueError as e:
            raise Refused(f"an outage that can't be read: {e}", f"ledger: item {item.row}") from e
    return result


def read_posts(ledger: Ledger, archived: Iterable[Snapshot] | None = None) -> list[OutagePost]:
    """Return every version of every post in the ledger, in the order of their fetching.

    archived: the snapshots, where they are read already.
    """
    read_already = snapshots(ledger) if archived is None else archived
    posts = [post for snapshot in read_already for post in snapshot.posts]
    return sorted([*posts, *by_hand(ledger)], key=lambda p: p.fetched_at_us)
