"""Calls could be made, and broke up: whose side was that? Verdicts of the kind `quality`, which are no downtime.

All sites side by side (settle.pooled) say when quality was poor and whose side it was, in whole minutes; nothing is
told of a stretch of which the rules on samples have a verdict, nor of one in which too few call-quality windows were
poor. The provider is named only where the windows themselves say so, too: those to it were poor at this site and at one
behind another ISP, while the windows to the own reflectors were not. Promises about quality are reckoned from the
windows, not from these verdicts (settle.quality).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from linewitness.model import Bounds, Exclusion, QualityWindow, Reason, Segment, Side, Verdict
from linewitness.settle.account import QUALITY
from linewitness.settle.grid import STEP_US
from linewitness.settle.groups import cite
from linewitness.settle.intervals import Interval, length, subtract
from linewitness.settle.local import Diagnosis
from linewitness.settle.pooled import Engine, Word
from linewitness.settle.timeline import SiteInfo

POOR_MOS_MILLI, POOR_LOSS_PPM = 3_600, 50_000
POOR_SHARE, MOST, CLEAN_SHARE = 0.3, 0.5, 0.2
TROUBLED_SHARE, NEARLY_ALL = 0.35, 0.8  # of the own reflector's windows, and of the provider's beside its clean ones
BESIDE_US = 90_000_000
LEAST_WINDOWS = 3
EDGE_US = 3 * STEP_US  # a state machine over rounds enters and leaves some of them late
UNTOLD = 0.8  # share of a stretch of which nothing is said yet
UNSURE = 50
HARD = (Segment.POWER, Segment.CARRIER)
CANDIDATES = (Side.ISP, Side.TRANSIT, Side.PROVIDER)
ORDER = (Side.CUSTOMER, Side.ISP, Side.TRANSIT, Side.PROVIDER)


def poor_calls(
    diagnoses: Sequence[Diagnosis], infos: Mapping[str, SiteInfo], engine: Engine, verdicts: Sequence[Verdict]
) -> list[Verdict]:
    """Return the verdicts on poor quality of all sites. verdicts: what the rules on samples found."""
    result = []
    for diagnosis in diagnoses:
        site = diagnosis.record.site
        told = [(v.start.earliest_us, v.end.latest_us) for v in verdicts if v.site == site]
        for word in engine.words.get(site, ()):
            left = length(subtract([word.span], told))
            if word.segment in HARD or left < UNTOLD * (word.span[1] - word.span[0]):
                continue
            if poor_share(_windows(diagnosis, word.span)) >= POOR_SHARE:
                result.append(_verdict(diagnosis, word, diagnoses, infos))
                told.append(word.span)
    return result


def poor(w: QualityWindow) -> bool:
    """Return whether a call like that would have been poor: MOS below 3.6; where that is not known, loss above 5 %."""
    counted = w.sent - w.self_delayed
    heard = max(0, w.answered - w.late)
    if w.mos_milli is not None and heard:
        return w.mos_milli < POOR_MOS_MILLI
    return (counted - heard) * 1_000_000 > POOR_LOSS_PPM * counted


def poor_share(windows: Sequence[QualityWindow]) -> float:
    """Return the share of windows that were poor; 0 where there are too few."""
    measured = [w for w in windows if w.sent > w.self_delayed]
    return sum(map(poor, measured)) / len(measured) if len(measured) >= LEAST_WINDOWS else 0.0


def _windows(diagnosis: Diagnosis, span: Interval, *, own: bool = False) -> list[QualityWindow]:
    """Return the windows to the provider within a stretch; own: those to the own reflector."""
    return [
        w for w in diagnosis.record.windows.within(*span)
        if w.control is own and (w.segment is Segment.PROVIDER) is not own
        and w.segment is not Segment.CARRIER
    ]  # fmt: skip


def _providers(diagnosis: Diagnosis, span: Interval) -> bool:
    """Return whether a site's windows to the provider were poor while those to the own reflector were not.

    Where something else troubled the own reflector's for a part of the time, the windows beside clean ones tell: what
    that trouble spoils is spoilt at both.
    """
    own, theirs = (_windows(diagnosis, span, own=own) for own in (True, False))
    if len(own) < LEAST_WINDOWS or poor_share(own) > TROUBLED_SHARE:
        return False
    if poor_share(own) <= CLEAN_SHARE:
        return poor_share(theirs) >= MOST
    beside = _beside_clean(theirs, own)
    return 2 * len(beside) >= len(theirs) and poor_share(beside) >= NEARLY_ALL


def _beside_clean(theirs: Sequence[QualityWindow], own: Sequence[QualityWindow]) -> list[QualityWindow]:
    """Return the windows of which the nearest one to the own reflector (sorted by start) was not poor."""
    starts = [w.start.earliest_us for w in own]
    result = []
    for w in theirs:
        at = bisect_left(starts, w.start.earliest_us)
        near = min(own[max(0, at - 1) : at + 1], key=lambda o: abs(o.start.earliest_us - w.start.earliest_us))
        if not poor(near) and abs(near.start.earliest_us - w.start.earliest_us) <= BESIDE_US:
            result.append(w)
    return result


def _verdict(
    diagnosis: Diagnosis, word: Word, diagnoses: Sequence[Diagnosis], infos: Mapping[str, SiteInfo]
) -> Verdict:
    record, groups = diagnosis.record, diagnosis.groups
    site, span, side, segment = record.site, word.span, word.side, word.segment
    theirs = [s for s in groups.provider if s.method == "stamp"]
    windows = _windows(diagnosis, span)
    text = f"{sum(map(poor, windows))} of {len(windows)} call-quality windows to the provider were poor"
    reasons = [Reason(text, cite(record, theirs, *span)), Reason(f"all sites side by side: {word.text}")]
    if side is Side.PROVIDER:
        agreeing = [
            d for d in diagnoses
            if infos[d.record.site].provider == infos[site].provider and infos[d.record.site].isp != infos[site].isp
            and _providers(d, span)
        ]  # fmt: skip
        reasons += [
            Reason(f"site {d.record.site}, behind another ISP, saw the same", cite(d.record, d.groups.provider, *span))
            for d in agreeing
        ]
        if not agreeing or not _providers(diagnosis, span):
            reasons.append(Reason("the windows of the sites do not show it in the very same minutes"))
            side, segment = Side.UNDETERMINED, None
    beside = cite(record, [*groups.router, *groups.reflector], *span)
    clears = {
        Side.CUSTOMER: "the gateway and the own reflector, over the same radio or cable, in the same minutes",
        Side.ISP: "what lies beyond the ISP's line, in the same minutes",
        Side.TRANSIT: "the own reflector, in the same minutes",
    }
    nearer = ORDER[: ORDER.index(side)] if side in ORDER else ()
    excluded = tuple(Exclusion(s, Reason(clears[s], beside)) for s in nearer)
    start, end = (Bounds(at_us - EDGE_US, at_us + EDGE_US) for at_us in span)
    sure = UNSURE if segment is None else word.confidence
    candidates = CANDIDATES if segment is None else ()
    return Verdict(
        site, segment, side, start, end, sure, tuple(reasons), candidates, excluded, (), False, QUALITY,
    )  # fmt: skip
