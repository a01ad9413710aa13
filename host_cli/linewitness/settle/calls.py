"""What test calls of all sites say of a suspicion: where they came about nobody failed to serve them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from linewitness.model import Citation, Fate, OutagePost
from linewitness.settle.groups import cite
from linewitness.settle.intervals import Interval
from linewitness.settle.local import Diagnosis
from linewitness.settle.pooled import Engine
from linewitness.settle.suspicions import Suspicion
from linewitness.settle.timeline import SiteInfo


@dataclass(frozen=True, slots=True)
class Fleet:
    """All that a suspicion is held against."""

    diagnoses: Sequence[Diagnosis]
    infos: Mapping[str, SiteInfo]
    posts: Sequence[OutagePost]
    engine: Engine
    claim_unconfirmed: bool

    @property
    def suspicions(self) -> list[Suspicion]:
        return [s for d in self.diagnoses for s in d.suspicions]


def calls_inside(fleet: Fleet, suspicion: Suspicion, span: Interval) -> tuple[Citation, ...]:
    """Return the site's good calls inside the network in a stretch; empty where there is none, or one failed."""
    (diagnosis,) = (d for d in fleet.diagnoses if d.record.site == suspicion.site)
    calls = diagnosis.groups.calls
    if any(s.count(f, *span) for s in calls for f in (Fate.LOST, Fate.WRONG)):
        return ()
    return cite(diagnosis.record, [s for s in calls if s.count(Fate.ANSWERED, *span)], *span)


def callee_reached(fleet: Fleet, suspicion: Suspicion, span: Interval) -> bool:
    """Return whether one of the callees was reached meanwhile, by whatever site and carrier."""
    return any(
        s.callee in suspicion.callees and s.count(Fate.ANSWERED, *span)
        for d in fleet.diagnoses for s in d.groups.carrier
    )  # fmt: skip


def calls_made(fleet: Fleet, site: str, span: Interval) -> tuple[Citation, ...]:
    """Return the good calls inside the network of a site's provider, of all its sites, in [start_us, end_us)."""
    found: list[Citation] = []
    for diagnosis in fleet.diagnoses:
        if fleet.infos[diagnosis.record.site].provider == fleet.infos[site].provider:
            made = [s for s in diagnosis.groups.calls if s.count(Fate.ANSWERED, *span)]
            found += cite(diagnosis.record, made, *span)
    return tuple(found)
