"""The archive of what providers said: every fetch raw in the ledger, with its hash and our time; read back as posts.

A snapshot's item is named PROVIDER, `statuspage`, SOURCE (the URL or the file it came from), with tabs between. An
entry made by hand is an item of kind outage: the JSON of one OutagePost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from linewitness.errors import Refused
from linewitness.model import OutagePost, build, plain
from linewitness.outages import statuspage

if TYPE_CHECKING:
    from linewitness.ledger import Ledger

FORMAT = "statuspage"


def add_snapshot(ledger: Ledger, provider: str, source: str, octets: bytes, at_us: int) -> list[OutagePost]:
    """Archive one snapshot and return its posts. Raises Refused, storing nothing, for what can't be read."""
    posts = statuspage.parse(octets, provider, at_us, source)
    ledger.add_item("snapshot", "\t".join((provider, FORMAT, source)), octets, at_us)
    return posts


def add_by_hand(ledger: Ledger, post: OutagePost) -> None:
    """Keep what somebody read on a page that is not fetched."""
    content = json.dumps(plain(post), sort_keys=True, ensure_ascii=False).encode()
    ledger.add_item("outage", post.provider, content, post.fetched_at_us)


def read_posts(ledger: Ledger, providers: Iterable[str] | None = None) -> list[OutagePost]:
    """Return every version of every post in the ledger, in the order in which they were archived."""
    wanted = None if providers is None else set(providers)
    found: list[tuple[int, list[OutagePost]]] = []
    for item in ledger.items("snapshot"):
        provider, form, source = (*item.name.split("\t", 2), "", "")[:3]
        if form == FORMAT and (wanted is None or provider in wanted):
            found.append((item.row, statuspage.parse(item.content, provider, item.recorded_us, source)))
    for item in ledger.items("outage"):
        if wanted is None or item.name in wanted:
            try:
                found.append((item.row, [build(OutagePost, json.loads(item.content))]))
            except ValueError as e:
                raise Refused(f"an outage that can't be read: {e}", f"ledger: item {item.row}") from e
    return [post for _, posts in sorted(found, key=lambda pair: pair[0]) for post in posts]
