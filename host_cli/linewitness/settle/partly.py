"""Some calls failed and others came about: whose side was that? Verdicts of the kind `quality`, which are no downtime.

A failure of a share of all requests leaves no stretch in which nothing was answered: the rules on samples tell it
second by second at best, at each site in other seconds. All sites side by side (settle.pooled) say when it was, in
whole minutes. The provider or its carrier is named for those minutes where both methods say so: the engine names it,
and the samples of this site and of one behind another ISP show it while all their controls were clean. Nothing is told
where they do not, nor of a stretch of which the rules on samples have a verdict.

  provider   a share of the requests for signalling was not served by the same edge, at half or more of the sites that
             use it; and test calls, where they were made, did not all come about
  carrier    half or more of the calls over it failed or were poor, to whomever, while those inside the network came
             about well; and it was not the callee: two were called, or another carrier's site reached it
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from linewitness.model import Bounds, Exclusion, Fate, Reason, Segment, Side, Verdict
from linewitness.settle.account import QUALITY
from linewitness.settle.groups import cite
from linewitness.settle.intervals import Interval, core, hull, length, subtract
from linewitness.settle.local import Diagnosis
from linewitness.settle.pool import ACCUSED, NOT_EXCLUDED
from linewitness.settle.pooled import Engine, Word
from linewitness.settle.poor import CLEAN_SHARE, EDGE_US, MOST, POOR_SHARE, UNTOLD, poor, poor_share
from linewitness.settle.series import BAD, Series
from linewitness.settle.suspicions import controls, refused
from linewitness.settle.timeline import SiteInfo

LEAST_REQUESTS, LEAST_CALLS = 10, 2


def partly_failed(
    diagnoses: Sequence[Diagnosis], infos: Mapping[str, SiteInfo], engine: Engine, verdicts: Sequence[Verdict]
) -> list[Verdict]:
    """Return the verdicts on partial failures of all sites. verdicts: what else was found."""
    result = []
    for diagnosis in diagnoses:
        here = [v for v in verdicts if v.site == diagnosis.record.site]
        for word in engine.words.get(diagnosis.record.site, ()):
            left = length(subtract([word.span], _told(here, word.side)))
            if word.side not in ACCUSED or left < UNTOLD * (word.span[1] - word.span[0]):
                continue
            suffered = _by_carrier if word.side is Side.CARRIER else _by_provider
            agreeing = suffered(diagnosis, word.span, diagnoses, infos)
            if agreeing:
                here.append(_verdict(diagnosis, word, agreeing))
                result.append(here[-1])
    return result


def _told(verdicts: Sequence[Verdict], side: Side) -> list[Interval]:
    """Return what there is to be said no more: all that another side may have caused, and what is told for certain.

    What is open in some seconds of a partial failure is told with it; a poor call's verdict speaks for its minutes.
    """
    return [hull(v) if v.kind == QUALITY or v.side not in (side, Side.UNDETERMINED) else core(v) for v in verdicts]


def _by_provider(
    diagnosis: Diagnosis, span: Interval, diagnoses: Sequence[Diagnosis], infos: Mapping[str, SiteInfo]
) -> list[Diagnosis]:
    """Return the sites behind other ISPs that suffered the same of the same edge; empty where it can't be said."""
    mine = infos[diagnosis.record.site]
    hosts = _unserved(diagnosis, span)
    if not hosts or not _clean(diagnosis, span):
        return []
    users = [
        d for d in diagnoses
        if infos[d.record.site].provider == mine.provider
        and any(s.host in hosts and s.count(f, *span) for s in _signalling(d) for f in Fate) and _clean(d, span)
    ]  # fmt: skip
    suffering = [d for d in users if hosts & _unserved(d, span)]
    if len(suffering) < MOST * len(users):
        return []
    return [d for d in suffering if infos[d.record.site].isp != mine.isp]


def _signalling(diagnosis: Diagnosis) -> list[Series]:
    return [s for s in diagnosis.groups.provider if s.method.startswith("sip")]


def _unserved(diagnosis: Diagnosis, span: Interval) -> set[str]:
    """Return the hosts that did not serve a share of a site's requests, calls failing as well where they were made."""
    calls = diagnosis.groups.calls
    made = sum(s.count(Fate.ANSWERED, *span) for s in calls)
    if made and not any(s.count(f, *span) for s in calls for f in BAD):
        return set()
    result = set()
    for series in _signalling(diagnosis):
        served, failed = series.count(Fate.ANSWERED, *span), sum(series.count(f, *span) for f in BAD)
        if served + failed >= LEAST_REQUESTS and failed >= POOR_SHARE * (served + failed):
            result.add(series.host)
    return result


def _by_carrier(
    diagnosis: Diagnosis, span: Interval, diagnoses: Sequence[Diagnosis], infos: Mapping[str, SiteInfo]
) -> list[Diagnosis]:
    """Return the sites behind other ISPs whose calls over the same carrier suffered; empty where it can't be said."""
    mine = infos[diagnosis.record.site]
    callees = _spoilt(diagnosis, span)
    if not callees or mine.carrier is None:
        return []
    agreeing = [
        d for d in diagnoses
        if (infos[d.record.site].provider, infos[d.record.site].carrier) == (mine.provider, mine.carrier)
        and infos[d.record.site].isp != mine.isp and _spoilt(d, span)
    ]  # fmt: skip
    callees = callees.union(*(_spoilt(d, span) for d in agreeing))
    reached = any(
        s.callee in callees and s.count(Fate.ANSWERED, *span)
        for d in diagnoses if infos[d.record.site].carrier != mine.carrier
        for s in d.groups.carrier
    )  # fmt: skip
    return agreeing if reached or len(callees) > 1 else []


def _spoilt(diagnosis: Diagnosis, span: Interval) -> set[str]:
    """Return whom a site's calls over its carrier reached badly or not; empty where one was reached well, or where
    those inside the network did not come about well."""
    inside, made = diagnosis.groups.calls, diagnosis.groups.carrier
    if any(s.count(f, *span) for s in inside for f in BAD) or not any(s.count(Fate.ANSWERED, *span) for s in inside):
        return set()
    windows = list(diagnosis.record.windows.within(*span))
    bad = Counter(w.target for w in windows if poor(w))
    theirs = [w for w in windows if w.segment is Segment.PROVIDER and not w.control]
    broken = any(bad[s.target] > CLEAN_SHARE * s.count(Fate.ANSWERED, *span) for s in inside)
    if broken or poor_share(theirs) > CLEAN_SHARE or not _clean(diagnosis, span):
        return set()
    result = set()
    total = 0
    for series in made:
        failed = _failed(series, span)
        count = series.count(Fate.ANSWERED, *span) + failed
        total += count
        if failed + bad[series.target] >= MOST * count > 0:
            result.add(series.callee)
        elif count:
            return set()
    return result if total >= LEAST_CALLS else set()


def _failed(series: Series, span: Interval) -> int:
    """Return how many calls failed; those refused for the asking, or by the callee, say nothing."""
    return sum(not refused(point.row.code) for fate in BAD for point in series.points(fate, *span))


def _clean(diagnosis: Diagnosis, span: Interval) -> bool:
    return all(c.clean for c in controls(diagnosis.record, diagnosis.groups, span))


def _verdict(diagnosis: Diagnosis, word: Word, agreeing: Sequence[Diagnosis]) -> Verdict:
    carrier = word.side is Side.CARRIER

    def members(d: Diagnosis) -> Sequence[Series]:
        return d.groups.carrier if carrier else _signalling(d)

    record, span = diagnosis.record, word.span
    what = "calls over the carrier failed or were poor" if carrier else "requests for signalling were not served"
    reasons = [
        Reason(f"a share of all {what} in these minutes", cite(record, members(diagnosis), *span)),
        *(
            Reason(f"site {d.record.site}, behind another ISP, saw the same", cite(d.record, members(d), *span))
            for d in agreeing
        ),
        Reason(f"all sites side by side: {word.text}"),
    ]
    excluded = [
        Exclusion(c.side, Reason(f"{c.name} clean in the same minutes", c.readings))
        for c in controls(record, diagnosis.groups, span)
    ]
    elsewhere = tuple(c for d in agreeing for c in cite(d.record, members(d), *span))
    excluded.append(Exclusion(Side.ISP, Reason("sites behind other ISPs suffered in the same minutes", elsewhere)))
    if carrier:
        inside = cite(record, diagnosis.groups.calls, *span)
        excluded.append(Exclusion(Side.PROVIDER, Reason("test calls inside the network came about meanwhile", inside)))
    edge_us = EDGE_US + (
        max(s.period_us for s in members(diagnosis)) if carrier else 0
    )  # nothing is known between calls
    start, end = (Bounds(at_us - edge_us, at_us + edge_us) for at_us in span)
    return Verdict(
        record.site, word.segment, word.side, start, end, word.confidence, tuple(reasons), (), tuple(excluded),
        () if carrier else (NOT_EXCLUDED,), False, QUALITY,
    )  # fmt: skip
