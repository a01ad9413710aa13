"""Settling as one pure function: records of sites, what the host was told of them, posts, contracts -> Settlement.

The same input gives the same Settlement, byte for byte, whatever order late data came in. METHOD names the rules; it
changes whenever an old ledger would settle differently.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from linewitness.model import Breach, Finding, OutagePost, Segment, SegmentSpan, Settlement, Side, Ticket, Verdict
from linewitness.settle import edges, partly, pool, pooled, poor, posts, power
from linewitness.settle.account import NO_DOWNTIME, SiteEvidence
from linewitness.settle.calls import Fleet
from linewitness.settle.contract import Contract
from linewitness.settle.intervals import Interval
from linewitness.settle.local import diagnose
from linewitness.settle.power import MonitorWord
from linewitness.settle.reckon import reckon
from linewitness.settle.spans import site_spans
from linewitness.settle.timeline import SiteInfo, SiteRecord

METHOD = "linewitness rules 6"


def settle(
    records: Sequence[SiteRecord],
    infos: Mapping[str, SiteInfo],
    snapshots: Sequence[OutagePost],
    contracts: Sequence[Contract],
    period: Interval,
    *,
    claim_unconfirmed: bool = False,
    tickets: Sequence[Ticket] = (),
    monitors: Sequence[MonitorWord] = (),
    absent: Mapping[tuple[str, str], int] | None = None,
) -> Settlement:
    """Return the Settlement of [start_us, end_us).

    infos has every site of records; snapshots holds every version of every post; claim_unconfirmed: the operator
    chooses to claim what no evidence from outside confirms; monitors: what power monitors at the sites said;
    absent: see posts.as_noticed. Work is linear in the samples.
    """
    diagnoses = [diagnose(record, period) for record in sorted(records, key=lambda r: r.site)]
    current = posts.newest(snapshots)
    engine = pooled.ask([d.record for d in diagnoses], infos, current, period)
    verdicts = pool.verdicts(Fleet(diagnoses, infos, current, engine, claim_unconfirmed))
    verdicts += [v for d in diagnoses for v in edges.degraded(d, period)]
    powered = [power.power_cuts(d.record, monitors) for d in diagnoses]
    verdicts += [v for cuts, _ in powered for v in cuts]
    verdicts += poor.poor_calls(diagnoses, infos, engine, verdicts)
    verdicts += partly.partly_failed(diagnoses, infos, engine, verdicts)
    verdicts.sort(key=lambda v: (v.site, v.start, v.end, v.side, v.kind))
    spans = [span for d in diagnoses for span in site_spans(d, period)]
    of_site: defaultdict[str, list[Verdict]] = defaultdict(list)
    seen: defaultdict[str, list[SegmentSpan]] = defaultdict(list)
    for v in verdicts:
        of_site[v.site].append(v)
    for span in spans:
        if span.segment is Segment.PROVIDER:
            seen[span.site].append(span)
    evidence = [
        SiteEvidence(name, of_site[name], seen[name], tickets, d.record.windows, infos[name].wired)
        for d in diagnoses
        for name in (d.record.site,)
    ]
    provider_of = {site: info.provider for site, info in infos.items()}
    noticed = posts.as_noticed(current, snapshots, absent or {})
    reckoned = reckon(contracts, evidence, provider_of, noticed, tickets, period)
    breaches = tuple(
        Breach(v.site, commitment.name, v.start, v.end, i)
        for i, v in enumerate(verdicts)
        for contract in contracts
        if v.side is Side.PROVIDER and v.kind not in NO_DOWNTIME and contract.provider == infos[v.site].provider
        for commitment in contract.commitments
        if commitment.metric == "availability"
    )
    found = [f for d in diagnoses for f in d.record.findings] + [
        Finding("never_answered", f"{d.record.site}/{s.witness}", None, f"{s.target} never answered: it is no evidence")
        for d in diagnoses
        for s in d.silent
    ]
    found += [f for _, told in powered for f in told]
    found += reckoned.findings
    return Settlement(
        METHOD, *period, tuple(d.record.site for d in diagnoses), tuple(spans), tuple(verdicts), breaches,
        reckoned.accounts, tuple(current), tuple(c for d in diagnoses for c in d.record.coverage),
        (*sorted(found, key=lambda f: (f.subject, f.at_us or 0, f.kind, f.text)),
         *posts.findings(snapshots, [v for v in verdicts if v.kind not in NO_DOWNTIME], provider_of)),
        reckoned.tallies, reckoned.dues,
    )  # fmt: skip
