"""One dead member of a provider's set of edges, while another member serves: `provider.edge_degraded`, no downtime.

A phone goes on to the next address of the set (RFC 3263 section 4.3), so the provider's failure means that *every*
member failed. That a member is dead is shown all the same, with what it and its neighbours replied in the same seconds,
where the site's controls were clean. Nobody is named for it: a member that is silent at one site may as well be banned,
filtered or not reachable over that line. It is never claimable.
"""

from __future__ import annotations

from collections.abc import Sequence

from linewitness.model import Exclusion, Reason, Side, Verdict
from linewitness.settle.account import EDGE_DEGRADED
from linewitness.settle.groups import cite
from linewitness.settle.intervals import Interval, subtract, union
from linewitness.settle.local import Diagnosis
from linewitness.settle.series import BAD, SERVED, Series
from linewitness.settle.states import Failure, find_failures, is_live
from linewitness.settle.suspicions import CALL_KINDS, controls

CONFIDENCE = 50  # as of every verdict that names nobody
CANDIDATES = (Side.ISP, Side.TRANSIT, Side.PROVIDER)


def degraded(diagnosis: Diagnosis, period: Interval) -> list[Verdict]:
    """Return a verdict for each stretch of [start_us, end_us) in which one signalling member failed beside another."""
    record = diagnosis.record
    walls = union(
        [*(c.dark for c in diagnosis.cuts), *(s.hull for s in diagnosis.suspicions if s.kind not in CALL_KINDS)]
    )
    barriers = union([*subtract([period], record.measured_by_any()), *walls])
    signalling = [s for s in diagnosis.groups.provider if s.method.startswith("sip")]
    result = []
    for method, server in sorted({(s.method, s.server) for s in signalling}):
        member = [s for s in signalling if (s.method, s.server) == (method, server)]
        others = [s for s in signalling if s.method == method and s.server != server]
        for failure in find_failures(member, SERVED, member, BAD, barriers, period, walls, record.fail_rounds):
            live = any(is_live(s, SERVED, failure) for s in member)
            if live and failure.rounds(member) >= record.fail_rounds:
                result += _verdict(diagnosis, server, member, others, failure)
    return result


def _verdict(
    diagnosis: Diagnosis, server: str, member: Sequence[Series], others: Sequence[Series], failure: Failure
) -> list[Verdict]:
    """Return the one verdict on a member's failure; none where no neighbour served or a control was not clean."""
    record, core = diagnosis.record, failure.core
    served = [s for s in others if sum(s.count(f, *core) for f in SERVED) > sum(s.count(f, *core) for f in BAD)]
    found = controls(record, diagnosis.groups, core)
    if not served or not found or not all(c.clean for c in found):
        return []
    neighbours = ", ".join(sorted({s.server for s in served}))
    reasons = (
        Reason(f"{server}, one signalling server of the provider's set, did not serve", cite(record, member, *core)),
        Reason(
            f"{neighbours} of the same set served in the same seconds: phones go on to the next server (RFC 3263), so "
            "this is no downtime", cite(record, served, *core),
        ),
    )  # fmt: skip
    spoken = tuple(
        Reason(f"{c.name} clean in the same seconds", c.readings) for c in found if c.side is not Side.CUSTOMER
    )
    excluded = tuple(
        Exclusion(c.side, Reason(f"{c.name} clean in the same seconds", c.readings))
        for c in found
        if c.side is Side.CUSTOMER
    )
    return [Verdict(
        record.site, None, Side.UNDETERMINED, failure.start, failure.end, CONFIDENCE, reasons + spoken, CANDIDATES,
        excluded, (), False, EDGE_DEGRADED,
    )]  # fmt: skip
