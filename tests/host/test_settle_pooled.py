"""Media alone, signalling alone, a carrier: what only all sites side by side can tell, from batches of whole hours."""

from __future__ import annotations

from branch_story import EDGE, MINUTE, SECOND, T0, Branch, Fault, Probe
from test_settle import CONTRACT, contains, post

from linewitness.model import Settlement, Side
from linewitness.settle.engine import settle
from linewitness.settle.pool import MEDIA_ONLY, NOT_EXCLUDED, SIGNALLING_ONLY
from linewitness.settle.timeline import SiteInfo, read_site

HOURS = 3 * 60 * MINUTE
ECHO, MOBILE, LANDLINE = "9196", "+447700900001", "+441632960002"
SLOW = 10 * SECOND
PROBES = (
    Probe("gateway", "router", "icmp", period_us=SLOW),
    Probe("gateway", "router", "dns", period_us=SLOW),
    Probe("203.0.113.1", "access", "icmp", period_us=SLOW),
    *(Probe(host, "transit", method, period_us=SLOW)
      for host in ("192.0.2.1", "198.51.100.1", "203.0.113.77") for method in ("icmp", "tcp")),
    Probe("198.51.100.9", "transit", "stamp", control=True, period_us=20 * SECOND),
    Probe("192.0.2.200", "provider", "sip", control=True, period_us=SLOW),
    Probe("192.0.2.200", "provider", "stamp", control=True, period_us=60 * SECOND),
    Probe(EDGE, "provider", "sip", period_us=SLOW),
    Probe(EDGE, "provider", "icmp", period_us=SLOW),
    Probe(EDGE, "provider", "stamp", period_us=20 * SECOND),
    Probe(EDGE, "provider", "call", period_us=20 * MINUTE, callee=ECHO),
    Probe(EDGE, "carrier", "call", period_us=40 * MINUTE, callee=MOBILE),
    Probe(EDGE, "carrier", "call", period_us=40 * MINUTE + SECOND, callee=LANDLINE),
)  # fmt: skip
ISPS = {"leeds": "isp-one", "york": "isp-two", "hull": "isp-one", "bath": "isp-three", "deal": "isp-two"}
INFOS = {
    site: SiteInfo(site, isp, "acme", "fon" if site in ("bath", "deal") else "tel", True) for site, isp in ISPS.items()
}
START_US, END_US = 60 * MINUTE + 7_123_456, 92 * MINUTE + 31_654_321


def told(faults: dict[str, tuple[Fault, ...]], sites: tuple[str, ...] = ("leeds", "york"), **options) -> Settlement:
    """Settle three hours of some sites, of which some have faults."""
    period = (T0, T0 + HOURS)
    records = []
    for site in sites:
        branch = Branch(site, faults.get(site, ()), PROBES, duration_us=HOURS, batch_us=MINUTE)
        records.append(read_site(site, branch.batches(), {branch.plan_hash: branch.plan}, *period))
    return settle(records, INFOS, options.pop("posts", ()), [CONTRACT], period, **options)


def both(*faults: Fault) -> dict[str, tuple[Fault, ...]]:
    return {"leeds": faults, "york": faults}


MEDIA = Fault(EDGE, START_US, END_US, ("stamp", "call"))
SIGNALLING = Fault(EDGE, START_US, END_US, ("sip", "call"))


def test_a_healthy_fleet_has_no_verdict() -> None:
    assert told({}).verdicts == ()


def test_media_dead_behind_two_isps_while_signalling_answers_is_the_providers() -> None:
    settlement = told(both(MEDIA), posts=(post(START_US, END_US),))
    assert [(v.site, v.side, v.kind) for v in settlement.verdicts] == [
        ("leeds", Side.PROVIDER, MEDIA_ONLY), ("york", Side.PROVIDER, MEDIA_ONLY),
    ]  # fmt: skip
    for verdict in settlement.verdicts:
        assert contains(verdict.start, START_US)
        assert contains(verdict.end, END_US)
        assert verdict.start.width_us <= 60 * SECOND
        assert verdict.claimable
        assert {e.side for e in verdict.excluded} >= {Side.CUSTOMER, Side.ISP, Side.TRANSIT}
        assert all(e.reason.readings for e in verdict.excluded)


def test_media_dead_at_one_site_is_nobodys() -> None:
    (verdict, *more) = told({"leeds": (MEDIA,)}).verdicts
    assert (verdict.side, verdict.claimable, more) == (Side.UNDETERMINED, False, [])


def test_signalling_and_calls_dead_behind_two_isps_is_the_providers() -> None:
    settlement = told(both(SIGNALLING))
    assert {(v.side, v.kind) for v in settlement.verdicts} == {(Side.PROVIDER, SIGNALLING_ONLY)}
    assert all(v.caveats == (NOT_EXCLUDED,) and not v.claimable for v in settlement.verdicts)
