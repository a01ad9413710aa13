"""What is to be found in the provider's own statements, held against our readings and against their earlier versions.

Late posting: minutes from our first failing reading to their first post. Back-dating: an outage said to have started
before the record of it was made. Edits: what differs between two snapshots of the same incident. Maintenance that was
announced after it began, or that ran past its window. None of it opens or times a verdict.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from linewitness.model import Finding, OutagePost, Side, Verdict
from linewitness.settle.calendar import iso
from linewitness.settle.intervals import overlaps

BACKDATED_US = 60_000_000  # a record is made some seconds after the start that it states, as a matter of course
TIMES = ("started_at_us", "created_at_us", "posted_at_us")
LATE_US = 3_600_000_000 * 6  # a post that comes later is not matched to a failure that it does not overlap


def newest(posts: Iterable[OutagePost]) -> list[OutagePost]:
    """Return the newest snapshot of each incident, in the order of provider, creation and incident."""
    latest: dict[tuple[str, str], OutagePost] = {}
    for post in sorted(posts, key=_snapshot_order):
        before = latest.get((post.provider, post.incident))
        if before is not None and post.scheduled_for_us is None:  # some pages stop saying what was announced
            post = replace(post, scheduled_for_us=before.scheduled_for_us)
        latest[post.provider, post.incident] = post
    return sorted(latest.values(), key=lambda p: (p.provider, p.created_at_us or 0, p.incident))


def as_noticed(
    current: Iterable[OutagePost], snapshots: Iterable[OutagePost], absent: Mapping[tuple[str, str], int]
) -> list[OutagePost]:
    """Return the newest posts as the contract's notice rules have to see them: maintenance made known when it was.

    Where a page does not say when it announced, that is when we first fetched it; where a fetch proves that it was not
    there yet (absent: by provider and incident, the last such fetch), not before that, whatever the page says since.
    """
    first: dict[tuple[str, str], int] = {}
    for post in snapshots:
        key = (post.provider, post.incident)
        first[key] = min(first.get(key, post.fetched_at_us), post.fetched_at_us)
    result = []
    for post in current:
        key = (post.provider, post.incident)
        if post.maintenance:
            made_us = post.created_at_us if post.created_at_us is not None else first.get(key, post.fetched_at_us)
            post = replace(post, created_at_us=max(made_us, absent.get(key, made_us)))
        result.append(post)
    return result


def findings(posts: Sequence[OutagePost], verdicts: Sequence[Verdict], provider_of: dict[str, str]) -> list[Finding]:
    """Return all findings about posts; posts holds every snapshot, provider_of maps sites to providers."""
    by_incident: dict[tuple[str, str], list[OutagePost]] = defaultdict(list)
    for post in sorted(posts, key=_snapshot_order):
        by_incident[post.provider, post.incident].append(post)
    result = []
    for versions in by_incident.values():
        result += _edits(versions)
        last = versions[-1]
        result += (
            _maintenance(last)
            if last.maintenance
            else [*_back_dating(last), *_late(last, versions[0].fetched_at_us, verdicts, provider_of)]
        )
    return sorted(result, key=lambda f: (f.subject, f.at_us or 0, f.kind, f.text))


def _snapshot_order(post: OutagePost) -> tuple[str, str, int, str]:
    return (post.provider, post.incident, post.fetched_at_us, post.snapshot_sha256)


def _edits(versions: Sequence[OutagePost]) -> list[Finding]:
    """Return what was altered without a word: times at any moment, all else once it was over.

    While an incident is open its name, impact and components change as it is understood: that is no edit of the past.
    """
    result = []
    for old, new in pairwise(versions):
        changed = []
        watched = TIMES if old.resolved_at_us is None else (*TIMES, "name", "impact", "components")
        for name in watched:
            before, after = getattr(old, name), getattr(new, name)
            if before != after and before is not None:
                changed.append(f"{name.removesuffix('_us')} {_said(before)} -> {_said(after)}")
        for name in ("scheduled_for_us", "scheduled_until_us"):
            before, after = getattr(old, name), getattr(new, name)
            if before != after and before is not None and after is not None:
                changed.append(f"{name.removesuffix('_us')} {_said(before)} -> {_said(after)}")
        if old.resolved_at_us is not None and old.resolved_at_us != new.resolved_at_us:
            verb = "shortened" if new.resolved_at_us and new.resolved_at_us < old.resolved_at_us else "changed"
            changed.append(f"resolved_at {verb} {_said(old.resolved_at_us)} -> {_said(new.resolved_at_us)}")
        if changed:
            text = (
                f"{new.incident}: edited between {iso(old.fetched_at_us)} and {iso(new.fetched_at_us)}: "
                f"{'; '.join(changed)}"
            )
            result.append(Finding("post_edited", new.provider, new.fetched_at_us, text))
    return result


def _said(value: object) -> str:
    return iso(value) if isinstance(value, int) else ", ".join(value) if isinstance(value, tuple) else str(value)


def _back_dating(post: OutagePost) -> list[Finding]:
    if post.started_at_us is None or post.created_at_us is None:
        return []
    early_us = post.created_at_us - post.started_at_us
    if early_us <= BACKDATED_US:
        return []
    text = f"{post.incident}: says it started {_minutes(early_us)} before the record of it was made"
    return [Finding("post_back_dated", post.provider, post.created_at_us, text)]


def _late(post: OutagePost, seen_us: int, verdicts: Sequence[Verdict], provider_of: dict[str, str]) -> list[Finding]:
    """Return how long after our first failing reading of that failure the first post came.

    seen_us: when the page was first fetched with it, which stands for the post's own time where the page states none.
    """
    stated_us = post.posted_at_us if post.posted_at_us is not None else post.created_at_us
    posted_us = seen_us if stated_us is None else stated_us
    start_us = min(t for t in (post.started_at_us, posted_us) if t is not None)
    end_us = max(post.resolved_at_us or post.fetched_at_us, start_us + 1)
    matching = [
        v for v in verdicts
        if v.side in (Side.PROVIDER, Side.UNDETERMINED) and provider_of.get(v.site) == post.provider
        and (overlaps((v.start.earliest_us, v.end.latest_us), (start_us, end_us))
             or (0 <= posted_us - v.end.latest_us <= LATE_US and v.side is Side.PROVIDER))
    ]  # fmt: skip
    if not matching:
        return []
    first_us = min(v.start.latest_us for v in matching)
    unfit = stated_us is None and seen_us - max(v.end.latest_us for v in matching) > LATE_US  # a page saved much later
    if posted_us <= first_us or unfit:
        return []
    how = "first seen on their page, which states no time of posting," if stated_us is None else "first posted"
    text = f"{post.incident}: {how} {_minutes(posted_us - first_us)} after our first failing reading"
    return [Finding("post_late", post.provider, posted_us, text)]


def _maintenance(post: OutagePost) -> list[Finding]:
    result = []
    if post.scheduled_for_us is not None and post.created_at_us is not None:
        late_us = post.created_at_us - post.scheduled_for_us
        if late_us > 0:
            text = f"{post.incident}: announced {_minutes(late_us)} after its window had begun"
            result.append(Finding("maintenance_after_the_fact", post.provider, post.created_at_us, text))
        early_us = 0 if post.started_at_us is None else post.scheduled_for_us - post.started_at_us
        # A start that is the record's own time says when it was written, not when it began.
        if early_us > BACKDATED_US and (post.started_at_us or 0) - post.created_at_us > BACKDATED_US:
            text = f"{post.incident}: began {_minutes(early_us)} before its window"
            result.append(Finding("maintenance_early", post.provider, post.started_at_us, text))
    if post.scheduled_until_us is not None and post.resolved_at_us is not None:
        over_us = post.resolved_at_us - post.scheduled_until_us
        if over_us > 0:
            text = f"{post.incident}: ran {_minutes(over_us)} past its window"
            result.append(Finding("maintenance_overrun", post.provider, post.resolved_at_us, text))
    return result


def _minutes(us: int) -> str:
    seconds = us // 1_000_000
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min {seconds % 60:02d} s"
