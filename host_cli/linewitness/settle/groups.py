"""A site's series by what they are evidence of, and how they are cited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from linewitness.model import Citation, Segment
from linewitness.settle.series import Series
from linewitness.settle.timeline import SiteRecord


@dataclass(frozen=True, slots=True)
class Groups:
    """A site's series by what they are evidence of."""

    lan: tuple[Series, ...]
    router: tuple[Series, ...]
    hop: tuple[Series, ...]
    anchors: tuple[Series, ...]
    reflector: tuple[Series, ...]
    second: tuple[Series, ...]
    provider: tuple[Series, ...]
    calls: tuple[Series, ...]
    carrier: tuple[Series, ...]

    @property
    def beyond(self) -> tuple[Series, ...]:
        """What lies beyond the first hop."""
        return self.anchors + self.reflector + self.second + self.provider


def group(series: Sequence[Series]) -> Groups:
    """Sort a site's series. Names looked up for the provider (DNS) tell nothing of its edge and are left out;
    test calls, which are made now and then, stand apart from what is probed all the time."""
    found: dict[str, list[Series]] = {name: [] for name in Groups.__dataclass_fields__}
    for s in series:
        if s.segment in (Segment.LAN, Segment.ENDPOINT):
            found["lan"].append(s)
        elif s.segment is Segment.ROUTER:
            found["router"].append(s)
        elif s.segment is Segment.ACCESS:
            found["hop"].append(s)
        elif s.method == "call":
            if s.segment in (Segment.PROVIDER, Segment.CARRIER) and not s.control:
                found["calls" if s.segment is Segment.PROVIDER else "carrier"].append(s)
        elif s.control and s.method == "stamp":
            found["reflector"].append(s)
        elif s.segment is Segment.PROVIDER and s.method != "dns":
            found["second" if s.control else "provider"].append(s)
        elif s.segment is Segment.TRANSIT:
            found["anchors"].append(s)
    return Groups(**{name: tuple(value) for name, value in found.items()})


def cite(record: SiteRecord, members: Sequence[Series], start_us: int, end_us: int) -> tuple[Citation, ...]:
    """Return what each of the series showed in [start_us, end_us); call-quality windows with all their packets."""
    result = []
    for series in sorted(members, key=lambda s: s.key):
        found = _cite_windows(record, series, start_us, end_us) if series.method == "stamp" else None
        found = found or series.cite(start_us, end_us)
        if found is not None:
            result.append(found)
    return tuple(result)


def _cite_windows(record: SiteRecord, series: Series, start_us: int, end_us: int) -> Citation | None:
    found = record.windows.counted(series.witness, series.target, start_us, end_us)
    if found is None:
        return None
    return Citation(
        series.witness, found.first_seq, found.last_seq, series.target, series.segment, found.sent, found.answered, 0,
        found.self_delayed,
    )  # fmt: skip
