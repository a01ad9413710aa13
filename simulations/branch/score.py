"""How good verdicts are, measured against a world's truth.

All times are laid on a grid of 10 s. Verdicts of one site and side closer than 120 s are one, so that cutting a verdict
into pieces doesn't pay. A verdict against the provider or its carrier is false when less than 80 % of it lies within a
real fault of theirs widened by one round at each end; other sides are judged with 50 % and two minutes. A truth line's
incident gets the side that most of its impact was given; `missed` when less than 30 % of it was given any. What other
faults own of an incident's impact isn't held against it.

Two steps: records() here walks a world once and notes for each incident and verdict what happened and which cause it
belongs to; measures.py turns records and a weight per cause into the figures, so that intervals can draw the causes
again (bootstrap: one provider outage at 40 sites is one cause, not 40).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulations.branch import world
from simulations.branch.truth import CREDITS
from simulations.branch.world import Line

GRID_S = 10.0
MERGE_GAP_S = 120.0
TOLERANCE = 12  # cells at each end
SIDES = ("customer", "access", "transit", "provider", "carrier")
BLAMED = ("provider", "carrier")
INCONCLUSIVE, MISSED = "inconclusive", "missed"
SHARED_FROM = 40  # sites; a fault of nobody's side that so many share counts as a shared decoy
ANNOUNCED_S = 3600.0
DEFAULT_CONFIDENCE = 0.99

Cells = NDArray[np.bool_]


class Incident(NamedTuple):
    """One call-affecting fault at one site, as judged: its side and the side it was given."""

    cause: str
    kind: str
    side: str
    label: str
    ambiguous: bool


class Fit(NamedTuple):
    """How well the times of an incident with the right side were met."""

    cause: str
    iou: float
    start_error_s: float
    end_error_s: float


class Judged(NamedTuple):
    """One merged verdict: side, confidence, right by the wide tolerance."""

    cause: str
    side: str
    confidence: float
    right: bool


class Blame(NamedTuple):
    """One merged verdict against the provider or carrier: false or not, and its cells that no other verdict holds."""

    cause: str
    false: bool
    cells: int
    false_cells: int


class Other(NamedTuple):
    """A fault that isn't the provider's (affecting: calls were hurt; else a decoy); was the provider blamed for it?"""

    cause: str
    affecting: bool
    shared: int
    blamed: bool


@dataclass(slots=True)
class Records:
    """Everything that the figures are made of."""

    incidents: list[Incident] = field(default_factory=list)
    fits: list[Fit] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    blames: list[Blame] = field(default_factory=list)
    others: list[Other] = field(default_factory=list)
    fine: list[tuple[str, bool]] = field(default_factory=list)
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    false_blame_kinds: Counter[str] = field(default_factory=Counter)
    causes: set[str] = field(default_factory=set)
    false_blame_min: list[float] = field(default_factory=list)  # a site each, as the next two
    sla_error_min: list[float] = field(default_factory=list)
    credit_error: list[float] = field(default_factory=list)
    false_breach_s: float = 0.0
    verdicts: int = 0
    sites: int = 0
    days: float = 1.0


def plain(side: str) -> str:
    """Return the side without its finer part."""
    return "customer" if side.startswith("customer") else side


def merged(verdicts: Iterable[Line]) -> list[Line]:
    """Return verdicts with those of one site and side that are less than MERGE_GAP_S apart made one."""
    found: list[Line] = []
    last: dict[tuple[str, str], Line] = {}
    for verdict in sorted(verdicts, key=lambda v: (v["site"], v["start"])):
        key = verdict["site"], plain(verdict["side"])
        open_one = last.get(key)
        if open_one is not None and verdict["start"] - open_one["end"] < MERGE_GAP_S:
            open_one["end"] = max(open_one["end"], verdict["end"])
            ours, its = (v.get("confidence", DEFAULT_CONFIDENCE) for v in (open_one, verdict))
            open_one["confidence"] = min(ours, its)
        else:
            last[key] = dict(verdict)
            found.append(last[key])
    return found


def widened(cells: Cells, by: int) -> Cells:
    """Return the cells with at least one set cell within `by` of them."""
    total = np.cumsum(np.concatenate(([0], cells)))
    at = np.arange(len(cells))
    return np.asarray(total[np.minimum(at + by + 1, len(cells))] - total[np.maximum(at - by, 0)] > 0)


def credit(availability: float) -> int:
    """Return the credit in percent of the month's charge."""
    return next(percent for least, percent in CREDITS if availability >= least)


class SiteScorer:
    """Judges one site's verdicts; adds to the records."""

    def __init__(self, scorer: WorldScorer, site: Line, faults: list[Line], verdicts: list[Line]) -> None:
        self.world, self.site, self.faults, self.verdicts = scorer, site, faults, verdicts
        count = scorer.cells
        self.hurt = {side: np.zeros(count, bool) for side in SIDES}
        self.real = {side: np.zeros(count, bool) for side in SIDES}
        self.said = {side: np.zeros(count, bool) for side in (*SIDES, INCONCLUSIVE)}
        for line in faults:
            side = plain(line["side"])
            if side in SIDES:
                self.real[side][scorer.span(line["start"], line["end"])] = True
                if line["affects_calls"]:
                    self.hurt[side][scorer.span(line["impact_start"], line["impact_end"])] = True
        for verdict in verdicts:
            side = plain(verdict["side"])
            if side in self.said:
                self.said[side][scorer.span(verdict["start"], verdict["end"])] = True
        spans = [scorer.span(line["start"], line["end"]) for line in faults]
        self.begins, self.ends = (np.array([getattr(span, edge) for span in spans]) for edge in ("start", "stop"))
        self.near = {side: widened(self.real[side], TOLERANCE) for side in SIDES}
        self.near_blamed = self.near["provider"] | self.near["carrier"]
        self.strict = widened(self.real["provider"] | self.real["carrier"], scorer.grace)
        self.blamed = self.said["provider"] | self.said["carrier"]

    def run(self, records: Records) -> None:
        """Add this site's records."""
        anything = np.any(list(self.said.values()), axis=0)
        hurt = np.any(list(self.hurt.values()), axis=0)
        records.false_breach_s += float((anything & ~widened(hurt, TOLERANCE)).sum()) * GRID_S
        records.false_blame_min.append(float((self.blamed & ~self.near_blamed).sum()) * GRID_S / 60)
        self.judge_verdicts(records)
        for line in self.faults:
            self.judge_fault(records, line)
        self.judge_sla(records)

    def judge_verdicts(self, records: Records) -> None:
        """Judge each verdict by the real faults of its side."""
        counted = np.zeros(self.world.cells, bool)
        for verdict in self.verdicts:
            side, span = plain(verdict["side"]), self.world.span(verdict["start"], verdict["end"])
            if side not in SIDES or span.stop <= span.start:
                continue
            under = self.most_overlapping(span)
            cause = under["fault"] if under else f"{self.site['id']}@{verdict['start']:.0f}"
            confidence = float(verdict.get("confidence", DEFAULT_CONFIDENCE))
            right = bool(self.near[side][span].mean() >= 0.5)
            records.judged.append(Judged(cause, side, confidence, right))
            if side in BLAMED:
                false = bool(self.strict[span].mean() < 0.8)
                own = ~counted[span]
                counted[span] = True
                false_cells = int((own & ~self.strict[span]).sum())
                records.blames.append(Blame(cause, false, int(own.sum()), false_cells))
                if false:
                    records.false_blame_kinds[under["kind"] if under else "(nothing)"] += 1

    def most_overlapping(self, span: slice) -> Line | None:
        """Return the truth line that covers most of a span, the later in alphabet of kinds where equal."""
        if not self.faults:
            return None
        cells = np.minimum(self.ends, span.stop) - np.maximum(self.begins, span.start)
        most = int(cells.max())
        if most <= 0:
            return None
        return max((self.faults[at] for at in np.flatnonzero(cells == most)), key=lambda line: line["kind"])

    def judge_fault(self, records: Records, line: Line) -> None:
        """Judge what one fault's impact was given."""
        side, span = plain(line["side"]), self.world.span(line["impact_start"], line["impact_end"])
        length = span.stop - span.start
        if length <= 0:
            return
        wrongly = int((self.blamed[span] & ~self.near_blamed[span]).sum()) * GRID_S
        blamed = not self.near_blamed[span].all() and wrongly > max(60.0, 0.2 * length * GRID_S)
        affecting = bool(line["affects_calls"]) and side != "none"
        if side in BLAMED and line["affects_calls"]:
            records.causes.add(line["fault"])
        if side not in BLAMED:
            records.others.append(Other(line["fault"], affecting, line["shared"], bool(blamed)))
        if not affecting:
            return
        if not line["observable"]:
            records.left_out[line["kind"], "unobservable"] += 1
            return
        label = self.label(side, span)
        if label is None:
            records.left_out[line["kind"], "masked"] += 1
            return
        records.incidents.append(Incident(line["fault"], line["kind"], side, label, bool(line["ambiguous"])))
        if label == side:
            self.judge_times(records, line, side, span)

    def label(self, side: str, span: slice) -> str | None:
        """Return the side that an impact was given, None if other faults hide too much of it."""
        others = np.any([self.hurt[other][span] for other in SIDES if other != side], axis=0)
        said = self.said[side][span]
        visible = span.stop - span.start - int((others & ~said).sum())
        if visible < 0.3 * (span.stop - span.start):
            return None
        given = [(int(said.sum()), side)]
        sides_said = np.any([self.said[other][span] for other in SIDES], axis=0)
        given.append((int((self.said[INCONCLUSIVE][span] & ~sides_said & ~others).sum()), INCONCLUSIVE))
        for other in SIDES:
            if other != side:
                given.append((int((self.said[other][span] & ~self.near[other][span]).sum()), other))
        return MISSED if sum(cells for cells, _ in given) < 0.3 * visible else max(given)[1]

    def judge_times(self, records: Records, line: Line, side: str, span: slice) -> None:
        """Note how well the times of a rightly attributed incident were met, leaving out what other faults own."""
        start, end = line["impact_start"], line["impact_end"]
        touching = [v for v in self.verdicts if plain(v["side"]) == side and v["end"] > start and v["start"] < end]
        ours, mine = np.zeros(self.world.cells, bool), np.zeros(self.world.cells, bool)
        mine[span] = True
        for verdict in touching:
            ours[self.world.span(verdict["start"], verdict["end"])] = True
        ours &= ~(self.hurt[side] & ~mine)
        masked = np.any([self.hurt[other] for other in SIDES if other != side], axis=0) & ~ours
        expected = mine & ~masked
        iou = float((ours & expected).sum() / max(1, (ours | expected).sum()))
        start_error = abs(min(v["start"] for v in touching) - start)
        end_error = abs(max(v["end"] for v in touching) - end)
        records.fits.append(Fit(line["fault"], iou, start_error, end_error))
        if line["side"] != side:
            overlap: Counter[str] = Counter()
            for verdict in touching:
                overlap[verdict["side"]] += min(verdict["end"], end) - max(verdict["start"], start)
            records.fine.append((line["fault"], overlap.most_common(1)[0][0] == line["side"]))

    def judge_sla(self, records: Records) -> None:
        """Compare downtime and credit: blamed time less maintenance announced an hour ahead."""
        down = self.blamed.copy()
        for provider, start, end in self.world.announced:
            if provider == self.site["provider"]:
                down[self.world.span(start, end)] = False
        downtime = float(down.sum()) * GRID_S
        true = self.world.truth.sla[self.site["id"]]
        days = self.world.days
        records.sla_error_min.append((downtime - true["downtime_s"]) / 60 * 30 / days)
        records.credit_error.append(credit(1 - downtime / (days * 86400)) - true["credit"])


class WorldScorer:
    """A world's truth laid on the grid."""

    def __init__(self, path: Path) -> None:
        meta = world.read_json(path / "meta.json")
        self.truth = world.open_truth(path)
        self.sites: list[Line] = world.read_json(path / "sites.json")
        self.t0, self.days = float(meta["t0"]), float(meta["days"])
        self.cells = int(self.days * 86400 / GRID_S)
        self.grace = max(3, round(meta.get("step", 60) / GRID_S))
        self.announced = [
            (post["provider"], post["started_at"], post["resolved_at"])
            for post in world.read_lines(path / "status.jsonl")
            if post["scheduled"]
            and post["posted_at"] is not None
            and post["posted_at"] < post["started_at"] - ANNOUNCED_S
        ]

    def span(self, start: float, end: float) -> slice:
        """Return the cells that [start, end) touches."""
        return slice(max(0, int((start - self.t0) // GRID_S)), min(self.cells, int(np.ceil((end - self.t0) / GRID_S))))


def records(path: Path, verdicts: Iterable[Line]) -> Records:
    """Return what a world's verdicts come to, incident by incident and verdict by verdict."""
    scorer = WorldScorer(path)
    verdicts = list(verdicts)
    by_site: dict[str, tuple[list[Line], list[Line]]] = defaultdict(lambda: ([], []))
    for line in scorer.truth.faults:
        by_site[line["site"]][0].append(line)
    for verdict in merged(verdicts):
        by_site[verdict["site"]][1].append(verdict)
    found = Records(verdicts=len(verdicts), sites=len(scorer.sites), days=scorer.days)
    for site in scorer.sites:
        SiteScorer(scorer, site, *by_site[site["id"]]).run(found)
    return found
