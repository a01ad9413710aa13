"""What the providers' status pages said: late, wrong, silent, back-dated and invented posts among honest ones."""

from __future__ import annotations

import numpy as np

from simulations.branch.schedule import Occurrence
from simulations.branch.style import Style
from simulations.branch.world import Line

LIES = ("late", "closed_early", "back_dated", "wrong_zone", "wrong_component", "wrong_edge")
COMPONENTS = ("network", "signalling", "media", "pstn")
ANNOUNCED_S = 3600.0


def draw_posts(
    rng: np.random.Generator, style: Style, occurrences: list[Occurrence], t0: float, days: float
) -> list[Line]:
    """Return the posts in order of posting, each with `_truth` (a fault's id or null) and `_lie` (null: honest)."""
    posts = []
    for occurrence in occurrences:
        if occurrence.kind.post == "maintenance":
            posts.append(maintenance(rng, occurrence))
        elif occurrence.kind.post and occurrence.entity.get("provider") is not None and rng.random() < style.posts:
            posts.append(incident(rng, style, occurrence))
        elif occurrence.kind.post and "carrier" in occurrence.entity and rng.random() < style.posts / 2:
            posts.append(incident(rng, style, occurrence) | {"provider": int(rng.integers(style.providers))})
        elif occurrence.kind.side in ("access", "transit") and rng.random() < style.posts_for_others * noticed(
            occurrence
        ):
            posts.append(for_others(rng, style, occurrence))
    for provider in range(style.providers):
        for _ in range(rng.poisson(style.invented_posts * days / 30)):
            start = t0 + rng.uniform(0, days * 86400 - 3600)
            posts.append(
                post(
                    rng,
                    provider,
                    int(rng.integers(style.edges)),
                    str(rng.choice(COMPONENTS)),
                    start,
                    start + rng.uniform(600, 7200),
                )
                | {"posted_at": round(start + rng.uniform(0, 1800), 1), "_truth": None, "_lie": "invented"}
            )
    posts.sort(key=lambda line: line["posted_at"])
    for number, line in enumerate(posts):
        line["incident"] = f"inc{number:04d}"
    return posts


def post(rng: np.random.Generator, provider: int, edge: int, component: str, start: float, end: float) -> Line:
    """Return the fields of a post without its time of posting."""
    return {
        "provider": provider, "incident": "", "component": component, "edge": edge, "scheduled": False,
        "posted_at": round(start, 1), "started_at": round(start, 1), "resolved_at": round(end, 1),
        "impact": str(rng.choice(["minor", "major", "critical"])),
    }  # fmt: skip


def maintenance(rng: np.random.Generator, occurrence: Occurrence) -> Line:
    """Return an announcement in time: a day or more before, the window a little wider than the work."""
    line = post(
        rng, occurrence.entity["provider"], occurrence.entity["edge"], "maintenance", occurrence.start, occurrence.end
    )
    line |= {"scheduled": True, "impact": "maintenance", "_truth": occurrence.id, "_lie": None}
    line["posted_at"] = round(occurrence.start - rng.uniform(ANNOUNCED_S * 24, ANNOUNCED_S * 96), 1)
    line["started_at"] = round(occurrence.start - rng.uniform(0, 600), 1)
    line["resolved_at"] = round(occurrence.end + rng.uniform(0, 1200), 1)
    return line


def noticed(occurrence: Occurrence) -> bool:
    """Return whether enough customers complain to their phone provider."""
    return len(occurrence.hits) > 2


def for_others(rng: np.random.Generator, style: Style, occurrence: Occurrence) -> Line:
    """Return a provider's post about what its customers complained of, though it was an ISP's or transit's fault."""
    line = incident(rng, style, occurrence)
    line |= {"provider": int(rng.integers(style.providers)), "component": str(rng.choice(COMPONENTS))}
    return line | {"_lie": "not_theirs"}


def incident(rng: np.random.Generator, style: Style, occurrence: Occurrence) -> Line:
    """Return a post about a fault, honest or with one mistake."""
    start, end = occurrence.start, occurrence.end
    edge = occurrence.entity.get("edge", 0)
    line = post(rng, occurrence.entity.get("provider", 0), edge, occurrence.kind.post, start, end)
    lie = None if rng.random() < style.honest_posts else str(rng.choice(LIES))
    line["posted_at"] = round(start + rng.exponential(500) + 60, 1)
    if lie == "late":
        line["posted_at"] = line["started_at"] = round(start + rng.uniform(900, 7200), 1)
        line["resolved_at"] = round(max(end, line["started_at"] + 120), 1)
    elif lie == "closed_early":
        line["resolved_at"] = round(start + (end - start) * rng.uniform(0.1, 0.6), 1)
    elif lie == "back_dated":
        line["posted_at"] = round(end + rng.uniform(3600, 86400), 1)
        line["started_at"] = round(start - rng.uniform(300, 3600), 1)
    elif lie == "wrong_zone":
        shift = 3600 * int(rng.choice([-8, -5, -1, 1, 2]))
        line["started_at"], line["resolved_at"] = round(start + shift, 1), round(end + shift, 1)
    elif lie == "wrong_component":
        line["component"] = str(rng.choice([name for name in COMPONENTS if name != occurrence.kind.post]))
    elif lie == "wrong_edge":
        line["edge"] = 1 - edge
    return line | {"_truth": occurrence.id, "_lie": lie}
