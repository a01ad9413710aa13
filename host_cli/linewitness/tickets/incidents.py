"""Verdicts of several sites that are one incident to a person: the same side, at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from linewitness.model import Bounds, Settlement, Side, Verdict

JOIN_US = 60_000_000  # the same failure is seen by its sites within a round or two of each other


@dataclass(frozen=True, slots=True)
class Incident:
    """One failure as a person sees it: its side, where it is (provider, else the sites' own), its verdicts by time.

    open: it had not ended by the last reading of the period.
    """

    side: Side
    verdicts: tuple[Verdict, ...]
    open: bool

    @property
    def sites(self) -> tuple[str, ...]:
        return tuple(sorted({v.site for v in self.verdicts}))

    @property
    def start(self) -> Bounds:
        return min((v.start for v in self.verdicts), key=lambda b: b.latest_us)

    @property
    def end(self) -> Bounds:
        return max((v.end for v in self.verdicts), key=lambda b: b.earliest_us)

    @property
    def min_us(self) -> int:
        """The shortest that it can have lasted, from its first start to its last end."""
        return max(0, self.end.earliest_us - self.start.latest_us)

    @property
    def max_us(self) -> int:
        return self.end.latest_us - self.start.earliest_us

    @property
    def lead(self) -> Verdict:
        """The verdict that says most: the surest, of those the longest."""
        return max(self.verdicts, key=lambda v: (v.confidence, v.min_us))


def incidents(settlement: Settlement, provider_of: Mapping[str, str], isp_of: Mapping[str, str]) -> list[Incident]:
    """Return the incidents of a settlement by their start.

    Sites share one where the side is the provider's or the carrier's and they have the same provider, or where it is
    the ISP's and they have the same ISP. The customer's, transit's and undetermined ones are each site's own.
    """
    shared = {Side.PROVIDER: provider_of, Side.CARRIER: provider_of, Side.ISP: isp_of}
    groups: dict[tuple[Side, str], list[Verdict]] = {}
    for v in settlement.verdicts:
        by = shared.get(v.side)
        groups.setdefault((v.side, f"site {v.site}" if by is None else by.get(v.site, v.site)), []).append(v)
    found = [
        Incident(side, tuple(together), any(v.end.latest_us >= settlement.end_us for v in together))
        for (side, _), verdicts in groups.items()
        for together in _together(verdicts)
    ]
    return sorted(found, key=lambda i: (i.start, i.side, i.sites))


def _together(verdicts: Iterable[Verdict]) -> list[list[Verdict]]:
    """Return runs of verdicts that overlap, or follow each other within JOIN_US."""
    result: list[list[Verdict]] = []
    end_us = 0
    for v in sorted(verdicts, key=lambda v: (v.start, v.end, v.site)):
        if not result or v.start.earliest_us > end_us + JOIN_US:
            result.append([])
            end_us = 0
        result[-1].append(v)
        end_us = max(end_us, v.end.latest_us)
    return result
