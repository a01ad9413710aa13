"""Make a world from a seed: the same seed and parameters give the same bytes, site by site, in flat memory.

Faults overlap by multiplying what survives: a site's state is their product, and the readings are drawn from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simulations.branch import world
from simulations.branch.fields import FIELDS, Readings
from simulations.branch.kind import Kind
from simulations.branch.observe import Observer
from simulations.branch.schedule import Occurrence, draw_occurrences
from simulations.branch.state import State, apply
from simulations.branch.status import draw_posts
from simulations.branch.style import Style
from simulations.branch.topology import Site, make_sites
from simulations.branch.truth import mark_unobservable, sla_line, tie_breakers, truth_line

T0 = 1_789_948_800  # 2026-09-21 00:00 UTC, a Monday


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything a world depends on."""

    seed: int
    sites: int
    days: int
    step_s: int
    kinds: tuple[Kind, ...]
    style: Style
    t0: int = T0

    @property
    def rounds(self) -> int:
        return self.days * 86400 // self.step_s


def site_readings(recipe: Recipe, number: int, site: Site, occurrences: list[Occurrence]) -> Readings:
    """Return what one site's witness got through to the host."""
    state = State(recipe.rounds)
    for occurrence in occurrences:
        if site.id in occurrence.hits:
            apply(state, site, occurrence, recipe.t0, recipe.step_s, recipe.rounds)
    rng = np.random.default_rng([recipe.seed, 1, number])
    return Observer(rng, recipe.style, site, state, recipe.t0, recipe.step_s).run()


def site_truth(recipe: Recipe, site: Site, sites: list[Site], occurrences: list[Occurrence]) -> list[world.Line]:
    """Return one site's truth lines, in the order of the occurrences."""
    lines = [
        truth_line(site, occurrence, recipe.t0, recipe.step_s, recipe.rounds, tie_breakers(site, sites, occurrence))
        for occurrence in occurrences
        if site.id in occurrence.hits
    ]
    return [line for line in lines if line is not None]


def make(
    recipe: Recipe, path: Path, *, text: bool = False, progress: Callable[[str], None] = lambda line: None
) -> None:
    """Write the world of a recipe; text: .csv.gz for every site instead of .npz."""
    rng = np.random.default_rng([recipe.seed, 0])
    sites = make_sites(rng, recipe.style, recipe.sites)
    occurrences = draw_occurrences(rng, recipe.style, recipe.kinds, sites, recipe.t0, recipe.days)
    posts = draw_posts(rng, recipe.style, occurrences, recipe.t0, recipe.days)
    (path / "readings").mkdir(parents=True, exist_ok=True)
    truth: list[world.Line] = []
    sla: dict[str, world.Line] = {}
    total = 0
    for number, site in enumerate(sites):
        rows = site_readings(recipe, number, site, occurrences)
        lines = site_truth(recipe, site, sites, occurrences)
        mark_unobservable(lines, rows, recipe.step_s)
        (world.write_csv if text else world.write_npz)(path / "readings", site.id, rows)
        truth += lines
        sla[site.id] = sla_line(lines, recipe.days * 86400)
        total += len(rows)
        progress(f"{number + 1}/{len(sites)} sites")
    truth.sort(key=lambda line: (line["fault"], line["site"]))
    world.write_lines(path / "truth.jsonl", truth)
    world.write_json(path / "truth_sla.json", sla)
    world.write_lines(path / "truth_status.jsonl", posts)
    public = ({name: value for name, value in line.items() if not name.startswith("_")} for line in posts)
    world.write_lines(path / "status.jsonl", public)
    world.write_json(path / "sites.json", [site.told() for site in sites])
    world.write_json(path / "meta.json", {
        "fields": list(FIELDS), "t0": recipe.t0, "step": recipe.step_s, "T": recipe.rounds, "days": recipe.days,
        "sites": recipe.sites, "seed": recipe.seed, "profile": "linewitness", "rows": total,
    })  # fmt: skip
