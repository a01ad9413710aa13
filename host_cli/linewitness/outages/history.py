"""What the snapshots of one page say of each other, without any reading of ours: dated back, taken away, unreadable.

A post dated before a snapshot that did not have it was written later than it says. A post that is gone from a later
snapshot, although that still lists older ones, was taken away. Both stand on two archived snapshots, which are named
by their hashes. Only formats that list what is over are compared, and only a page with itself: the same source.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from linewitness.model import Finding, OutagePost
from linewitness.outages.archive import Snapshot
from linewitness.outages.formats import FORMATS
from linewitness.settle.calendar import iso

CACHE_US = 120_000_000  # pages come out of caches some seconds old; two minutes is more than any that we know


def findings(archived: Iterable[Snapshot]) -> list[Finding]:
    """Return what is found in the snapshots of all sources, in a fixed order."""
    archived = list(archived)
    result = []
    for snapshot in archived:
        if snapshot.problem:
            what = f"{snapshot.source}: a snapshot is kept, but can't be read: {snapshot.problem}"
            result.append(Finding("post_unreadable", snapshot.provider, snapshot.fetched_at_us, what))
    for before, after in _neighbours(archived):
        result += [_back_dated(before, after, *one) for one in _absent(before, after)]
        result += _taken_away(before, after)
    return sorted(result, key=lambda f: (f.subject, f.at_us or 0, f.kind, f.text))


def absent_until(archived: Iterable[Snapshot]) -> dict[tuple[str, str], int]:
    """Return by (provider, incident) the last fetch that did not have a post which says that it is older than that."""
    result: dict[tuple[str, str], int] = {}
    for before, after in _neighbours(archived):
        for post, _ in _absent(before, after):
            key = (post.provider, post.incident)
            result[key] = max(result.get(key, 0), before.fetched_at_us)
    return result


def _neighbours(archived: Iterable[Snapshot]) -> Iterator[tuple[Snapshot, Snapshot]]:
    """Yield each snapshot of a page and the next one of it, where its format lists what is over."""
    sources: dict[tuple[str, str, str], list[Snapshot]] = {}
    for snapshot in archived:
        if not snapshot.problem and FORMATS[snapshot.form].whole:
            sources.setdefault((snapshot.provider, snapshot.form, snapshot.source), []).append(snapshot)
    for of_source in sources.values():
        yield from pairwise(sorted(of_source, key=lambda s: s.fetched_at_us))


def _absent(before: Snapshot, after: Snapshot) -> Iterator[tuple[OutagePost, int]]:
    """Yield (post, when it says that it was posted) of what a snapshot should have had, were that true."""
    known = {p.incident for p in before.posts}
    for post in after.posts:
        dated_us = post.posted_at_us if post.posted_at_us is not None else post.created_at_us
        if post.incident in known or dated_us is None or dated_us >= before.fetched_at_us - CACHE_US:
            continue
        if _reaches_back(before, post, dated_us) or (not before.posts and before.source.startswith("http")):
            yield post, dated_us


def _back_dated(before: Snapshot, after: Snapshot, post: OutagePost, dated_us: int) -> Finding:
    text = (
        f"{post.incident}: says it was posted at {iso(dated_us)[:19]}Z, but the page as fetched at "
        f"{iso(before.fetched_at_us)[:19]}Z ({before.sha256[:16]}) did not have it"
    )
    return Finding("post_back_dated", post.provider, after.fetched_at_us, text)


def _taken_away(before: Snapshot, after: Snapshot) -> list[Finding]:
    left = {p.incident for p in after.posts}
    result = []
    for post in before.posts:
        dated_us = _dated(post)
        if post.incident not in left and dated_us is not None and _reaches_back(after, post, dated_us):
            text = (
                f"{post.incident}: was on the page at {iso(before.fetched_at_us)[:19]}Z ({before.sha256[:16]}) and is "
                f"gone at {iso(after.fetched_at_us)[:19]}Z, where older ones still are"
            )
            result.append(Finding("post_withdrawn", post.provider, after.fetched_at_us, text))
    return result


def _reaches_back(snapshot: Snapshot, post: OutagePost, dated_us: int) -> bool:
    """Return whether the snapshot lists something of the same kind that is older: then it would list this too."""
    same: Sequence[int | None] = [_dated(p) for p in snapshot.posts if p.maintenance == post.maintenance]
    return any(t is not None and t < dated_us for t in same)


def _dated(post: OutagePost) -> int | None:
    return next((t for t in (post.posted_at_us, post.created_at_us, post.started_at_us) if t is not None), None)
