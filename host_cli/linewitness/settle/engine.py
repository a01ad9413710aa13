"""Settling as one pure function: records of sites, what the host was told of them, posts, contracts -> Settlement.

The same input gives the same Settlement, byte for byte, whatever order late data came in. METHOD names the rules; it
changes whenever an old ledger would settle differently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from linewitness.model import Breach, Finding, OutagePost, Segment, Settlement, Side
from linewitness.settle import pool, posts
from linewitness.settle.account import account
from linewitness.settle.calendar import months_between
from linewitness.settle.contract import Contract
from linewitness.settle.intervals import Interval
from linewitness.settle.local import diagnose
from linewitness.settle.pool import SiteInfo
from linewitness.settle.spans import site_spans
from linewitness.settle.timeline import SiteRecord

METHOD = "linewitness rules 1"


def settle(
    records: Sequence[SiteRecord],
    infos: Mapping[str, SiteInfo],
    snapshots: Sequence[OutagePost],
    contracts: Sequence[Contract],
    period: Interval,
    *,
    claim_unconfirmed: bool = False,
    tickets_us: Sequence[int] = (),
) -> Settlement:
    """Return the Settlement of [start_us, end_us).

    infos has every site of records; snapshots holds every version of every post; claim_unconfirmed: the operator
    chooses to claim what no evidence from outside confirms. Work is linear in the samples.
    """
    diagnoses = [diagnose(record, period) for record in sorted(records, key=lambda r: r.site)]
    current = posts.newest(snapshots)
    verdicts = pool.verdicts(diagnoses, infos, current, claim_unconfirmed)
    spans = [span for d in diagnoses for span in site_spans(d, period)]
    accounts = []
    for contract in contracts:
        for commitment in contract.commitments:
            for site in (d.record.site for d in diagnoses if infos[d.record.site].provider == contract.provider):
                for month in months_between(*period, contract.time_zone):
                    accounts.append(account(
                        contract, commitment, site, month, [v for v in verdicts if v.site == site],
                        [s for s in spans if s.site == site and s.segment is Segment.PROVIDER],
                        [p for p in current if p.provider == contract.provider], tickets_us,
                    ))  # fmt: skip
    breaches = tuple(
        Breach(v.site, commitment.metric, v.start, v.end, i)
        for i, v in enumerate(verdicts)
        for contract in contracts
        if v.side is Side.PROVIDER and contract.provider == infos[v.site].provider
        for commitment in contract.commitments
    )
    found = [f for d in diagnoses for f in d.record.findings] + [
        Finding("never_answered", f"{d.record.site}/{s.witness}", None, f"{s.target} never answered: it is no evidence")
        for d in diagnoses
        for s in d.silent
    ]
    provider_of = {site: info.provider for site, info in infos.items()}
    return Settlement(
        METHOD, *period, tuple(d.record.site for d in diagnoses), tuple(spans), tuple(verdicts), breaches,
        tuple(accounts), tuple(current), tuple(c for d in diagnoses for c in d.record.coverage),
        (*sorted(found, key=lambda f: (f.subject, f.at_us or 0, f.kind, f.text)),
         *posts.findings(snapshots, verdicts, provider_of)),
    )  # fmt: skip
