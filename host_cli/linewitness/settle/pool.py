"""Whose side was it: what one site suspects, held against the other sites of the same provider.

The provider is named only where all of this holds for the very same seconds:
  1. two independent methods fell silent together, signalling among them (echoes and OPTIONS, which one limiter may
     drop, only where the pooled engine says so too), or signalling answered that it fails (5xx) -
     or media alone, or signalling alone failed and the pooled engine (settle.pooled) names the provider for it;
  2. the site's own controls were clean: gateway, ISP's first hop, two anchors in different networks, and the own
     reflector or a second provider with the call's kind of packets;
  3. a healthy witness behind another ISP saw the same of the same edge, beginning or ending together with it - or
     signalling answered 5xx and the provider's own post speaks of that time;
  4. no other site reached the same edge meanwhile, and no test call came about there;
  5. the pooled engine does not object: it names nobody else, and of a failure that it must have seen it says the same.
The carrier is named only where calls over it failed at two sites behind two ISPs while those inside the network came
about, a second callee or another way to the same one clears the callee, the controls were clean, and the engine says
so too. Whom of the others the engine names, for stretches that stay open here, is taken as it says.
Otherwise it is `undetermined`, with the candidates. Witnesses under one administration are one vantage for whatever it
could block: without evidence from outside the verdict says so and is not claimable unless the operator chooses.
A provider's post confirms; it never opens or times a verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from linewitness.model import Bounds, Citation, Exclusion, Fate, OutagePost, Reason, Segment, Side, Verdict
from linewitness.settle.calls import Fleet, callee_reached, calls_inside, calls_made
from linewitness.settle.groups import cite
from linewitness.settle.intervals import Interval, intersect, overlaps, subtract, union
from linewitness.settle.local import Cut, Diagnosis
from linewitness.settle.pooled import Word
from linewitness.settle.suspicions import CALL_KINDS, SILENT_KINDS, Control, Suspicion
from linewitness.settle.timeline import SiteInfo

TOGETHER_US = 1_000_000  # ends of one cause at two sites lie within their bounds, give or take this

NOT_EXCLUDED = "block at the customer's side not excluded: all witnesses are under one administration"
CLOCK_DISPUTED = "the witness's clock and the host's contradict each other"

MEDIA_ONLY, SIGNALLING_ONLY = "provider.media", "provider.signalling"
KIND_OF = {"media": MEDIA_ONLY, "signalling": SIGNALLING_ONLY}
ACCUSED = (Side.PROVIDER, Side.CARRIER)  # whom no method may name alone
ALL_SIDES = (Side.CUSTOMER, Side.ISP, Side.TRANSIT, Side.PROVIDER)

CONFIDENCE = {"link": 99, "lan": 97, "router_beside_lan": 98, "router": 95, "access": 95, "beyond": 90, "unsure": 50}


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of a suspicion with one answer to: who else saw it?"""

    start: Bounds
    end: Bounds
    agreeing: tuple[Suspicion, ...]

    @property
    def core(self) -> Interval:
        return (self.start.latest_us, max(self.start.latest_us, self.end.earliest_us))


def verdicts(fleet: Fleet) -> list[Verdict]:
    """Return the verdicts of all sites, in the order of site and time. infos has every site of diagnoses."""
    result = [cut_verdict(d.record.site, cut) for d in fleet.diagnoses for cut in d.cuts]
    suspicions = fleet.suspicions
    for diagnosis in fleet.diagnoses:
        for suspicion in diagnosis.suspicions:
            for part in _parts(suspicion, suspicions, fleet.infos):
                result.append(_judge(fleet, diagnosis, suspicion, part))
    return sorted(result, key=lambda v: (v.site, v.start, v.end, v.side))


def cut_verdict(site: str, cut: Cut) -> Verdict:
    """Return the verdict on a cut of the site's trunk. It is never the provider's, and never claimable."""
    name = {Segment.LAN: "lan", Segment.ROUTER: "router", Segment.ACCESS: "access"}[cut.segment]
    if "link was down" in cut.why:
        name = "link"
    elif cut.segment is Segment.ROUTER and "another host" in cut.why:
        name = "router_beside_lan"
    elif cut.segment is Segment.ACCESS and "first hop" not in cut.why:
        name = "beyond"
    side = Side.ISP if cut.segment is Segment.ACCESS else Side.CUSTOMER
    caveats: tuple[str, ...] = ()
    if cut.segment is Segment.ACCESS:
        caveats = ("the router's own port and cable towards the ISP are not told apart from the ISP's line",)
    if cut.unsure:
        side, name = Side.UNDETERMINED, "unsure"
    beyond = "what lies beyond was not measured in that time"
    excluded = tuple(
        Exclusion(s, Reason(beyond if s is not Side.CUSTOMER else "the LAN and the router replied", cut.alive))
        for s in (Side.CUSTOMER, Side.ISP, Side.TRANSIT, Side.PROVIDER, Side.CARRIER)
        if s is not side and s not in cut.unsure and not (s is Side.ISP and cut.segment is Segment.ACCESS)
    )
    return Verdict(
        site, None if cut.unsure else cut.segment, side, cut.start, cut.end, CONFIDENCE[name],
        (Reason(cut.why, cut.dead),), cut.unsure, excluded, caveats, False,
    )  # fmt: skip


# --- the provider ---------------------------------------------------------------------------------------------------


def _parts(suspicion: Suspicion, others: Sequence[Suspicion], infos: Mapping[str, SiteInfo]) -> list[_Part]:
    """Split a suspicion where those who agree begin or cease to."""
    agreeing = tuple(o for o in others if _agrees(suspicion, o, infos))
    whole = [_Part(suspicion.start, suspicion.end, agreeing)]
    if not agreeing or not _nameable(suspicion) or suspicion.kind == "carrier":
        return whole  # calls are so few that what others saw first or last tells no part from another
    seen = union(o.hull for o in agreeing)
    edges = {o.start.earliest_us: o.start for o in agreeing} | {o.end.latest_us: o.end for o in agreeing}
    edges |= {suspicion.core[0]: suspicion.start, suspicion.core[1]: suspicion.end}
    parts = []
    for inside, intervals in ((True, intersect([suspicion.core], seen)), (False, subtract([suspicion.core], seen))):
        for start_us, end_us in intervals:
            start, end = edges[start_us], edges[end_us]
            here = tuple(o for o in agreeing if inside and overlaps(o.hull, (start_us, end_us)))
            parts.append(_Part(start, max(start, end), here))
    return sorted(parts, key=lambda p: (p.start, p.end)) or whole


def _nameable(suspicion: Suspicion) -> bool:
    """Return whether a suspicion may be held against the provider or its carrier, others agreeing."""
    return suspicion.clean and suspicion.kind in (*SILENT_KINDS, *KIND_OF, "carrier") and not suspicion.refused


def _agrees(a: Suspicion, b: Suspicion, infos: Mapping[str, SiteInfo]) -> bool:
    mine, theirs = infos[a.site], infos[b.site]
    # Where nothing was answered media and signalling failed as well; of calls over a carrier only such calls tell.
    alike = b.kind in SILENT_KINDS if a.kind != "carrier" else b.kind == "carrier"
    alike = alike or (a.kind in KIND_OF and b.kind == a.kind)
    return (
        a.site != b.site
        and mine.provider == theirs.provider
        and (a.kind != "carrier" or (mine.carrier == theirs.carrier and mine.carrier is not None))
        and mine.isp != theirs.isp
        and alike
        and (a.kind == "carrier" or not set(a.hosts).isdisjoint(b.hosts))  # another edge's failure is another failure
        and _nameable(b)
        and overlaps(a.hull, b.hull)
        and (_meet(a.start, b.start) or _meet(a.end, b.end))
    )


def _meet(a: Bounds, b: Bounds) -> bool:
    return a.earliest_us - TOGETHER_US <= b.latest_us and b.earliest_us - TOGETHER_US <= a.latest_us


def _judge(fleet: Fleet, diagnosis: Diagnosis, suspicion: Suspicion, part: _Part) -> Verdict:
    provider = fleet.infos[suspicion.site].provider
    hull = (part.start.earliest_us, part.end.latest_us)
    certain = part.core if part.core[0] < part.core[1] else hull
    admitted = [p for p in fleet.posts if p.provider == provider and admits(p, hull)]
    word = fleet.engine.names(suspicion.site, certain)
    against = _against(fleet, suspicion, part, word, bool(admitted))
    objection = fleet.engine.objection(suspicion.site, certain)
    if not against and suspicion.kind != "carrier" and objection:
        against = [Reason(objection)]
    reasons = [Reason(_what(suspicion), suspicion.dead)]
    for other in part.agreeing:
        text = f"site {other.site}, behind another ISP, saw the same in the same seconds"
        reasons.append(Reason(text, other.dead))
    if suspicion.kind == "errors":
        reasons.append(Reason(f"signalling answered with {', '.join(map(str, suspicion.codes))}", suspicion.dead))
    reasons += [Reason(f"the provider's own post {p.incident} speaks of this time: {p.name}") for p in admitted]
    clean = [c for c in suspicion.controls if c.clean]
    caveats = _caveats(diagnosis, hull)
    if against:
        if word is not None and word.side in _candidates(suspicion) and word.side not in ACCUSED:
            return _theirs(suspicion, part, word, [*reasons, *against], clean, caveats)
        candidates = _candidates(suspicion)
        spoken = [Reason(f"{c.name} clean in the same seconds", c.readings) for c in clean if c.side in candidates]
        return Verdict(
            suspicion.site, None, Side.UNDETERMINED, part.start, part.end, CONFIDENCE["unsure"],
            tuple(reasons + against + spoken), candidates,
            tuple(_exclusion(c) for c in clean if c.side not in candidates), caveats, False,
        )  # fmt: skip
    excluded = tuple(_exclusion(c) for c in clean)
    elsewhere = tuple(c for o in part.agreeing for c in o.dead)
    if elsewhere:
        text = "sites behind other ISPs, whose own controls were clean, failed in the same seconds"
        excluded += (Exclusion(Side.ISP, Reason(text, elsewhere)),)
    if word is not None and word.side in ACCUSED:
        reasons.append(Reason(f"all sites side by side, by a second method: {word.text}"))
    if suspicion.kind == "carrier":
        inside = calls_inside(fleet, suspicion, hull)
        excluded += (Exclusion(Side.PROVIDER, Reason("test calls inside the network came about meanwhile", inside)),)
        return Verdict(
            suspicion.site, Segment.CARRIER, Side.CARRIER, part.start, part.end, 98, tuple(reasons), (), excluded,
            caveats, False,
        )  # fmt: skip
    confirmed = bool(admitted) or suspicion.kind == "errors"
    if not confirmed:
        caveats = (NOT_EXCLUDED, *caveats)
    return Verdict(
        suspicion.site, Segment.PROVIDER, Side.PROVIDER, part.start, part.end, 99 if confirmed else 98,
        tuple(reasons), (), excluded, caveats,
        (confirmed or fleet.claim_unconfirmed) and CLOCK_DISPUTED not in caveats and part.core[0] < part.core[1],
        KIND_OF.get(suspicion.kind, ""),
    )  # fmt: skip


def _theirs(
    suspicion: Suspicion,
    part: _Part,
    word: Word,
    reasons: list[Reason],
    clean: Sequence[Control],
    caveats: tuple[str, ...],
) -> Verdict:
    """Return the verdict on somebody who is neither the provider nor its carrier, whom the engine names."""
    said = Reason(f"all sites side by side: {word.text}")
    return Verdict(
        suspicion.site, word.segment, word.side, part.start, part.end, word.confidence, (*reasons, said), (),
        tuple(_exclusion(c) for c in clean if c.side is not word.side), caveats, False,
    )  # fmt: skip


def _what(suspicion: Suspicion) -> str:
    methods = ", ".join(suspicion.methods)
    if suspicion.kind == "errors":
        return "the provider's signalling answered, but only with server errors"
    if suspicion.kind in CALL_KINDS:
        where = "inside the provider's network" if suspicion.kind == "calls" else "over the carrier"
        codes = f", with {', '.join(map(str, suspicion.codes))}" if suspicion.codes else ""
        return f"test calls {where} to {', '.join(suspicion.callees) or 'the callee'} failed{codes}"
    if suspicion.kind != "dark":
        return f"only one kind of probe to the provider failed ({methods}); other kinds were answered or not measured"
    return f"the provider replied to nothing: {methods}"


def _against(fleet: Fleet, suspicion: Suspicion, part: _Part, word: Word | None, admitted: bool) -> list[Reason]:
    """Return why neither the provider nor its carrier must be named; empty: it may."""
    result = []
    named = word is not None and word.side is (Side.CARRIER if suspicion.kind == "carrier" else Side.PROVIDER)
    if suspicion.kind == "calls":
        text = "signalling was answered meanwhile: a rule of the customer's on calls would look the same"
        result.append(Reason(text))
    elif suspicion.kind == "one_method" or (suspicion.kind in KIND_OF and not named):
        result.append(Reason("one kind of probe alone convicts nobody: a filter or a limiter would look the same"))
    elif suspicion.kind == "dark" and not named and all(m == "icmp" or m.startswith("sip") for m in suspicion.methods):
        result.append(Reason("only echoes and OPTIONS are seen to fail: a limiter of what we ask would look the same"))
    for control in suspicion.controls:
        if control.clean is None:
            result.append(Reason(f"control not measured in these seconds: {control.name}", control.readings))
        elif not control.clean:
            result.append(Reason(f"control failed as well: {control.name}", control.readings))
    beside = _calls_beside(fleet, suspicion)
    result += [
        Reason(f"test calls of site {o.site}, behind another ISP, failed meanwhile as well", o.dead) for o in beside
    ]
    if not part.agreeing and not beside and not (suspicion.kind == "errors" and admitted):
        result.append(Reason("no healthy witness behind another ISP saw the same in the same seconds"))
    if suspicion.kind in CALL_KINDS:
        return result + (_against_carrier(fleet, suspicion, part, named) if suspicion.kind == "carrier" else [])
    if reached := _reached_elsewhere(fleet, suspicion, part):
        result.append(Reason("another site reached the same edge in these seconds", tuple(reached)))
    if called := calls_made(fleet, suspicion.site, part.core):
        result.append(Reason("test calls inside the provider's network came about in these seconds", called))
    return result


def _calls_beside(fleet: Fleet, suspicion: Suspicion) -> list[Suspicion]:
    """Return who else's calls failed while signalling was answered: they agree, but accuse nobody either."""
    mine = fleet.infos[suspicion.site]
    return [
        o for o in fleet.suspicions
        if suspicion.kind == o.kind == "calls" and overlaps(o.hull, suspicion.hull)
        and fleet.infos[o.site].provider == mine.provider and fleet.infos[o.site].isp != mine.isp
    ]  # fmt: skip


def _against_carrier(fleet: Fleet, suspicion: Suspicion, part: _Part, named: bool) -> list[Reason]:
    """Return why failing calls over a carrier are not held against it."""
    result = []
    hull = (part.start.earliest_us, part.end.latest_us)
    if not named:
        result.append(Reason("all sites side by side do not show that it was the carrier"))
    if suspicion.refused:
        result.append(Reason("a call was refused for the asking or by the callee itself (4xx, 6xx)", suspicion.dead))
    if not calls_inside(fleet, suspicion, hull):
        result.append(Reason("no test call inside the provider's network came about beside them"))
    reached = callee_reached(fleet, suspicion, hull)
    if len(suspicion.callees) < 2 and not reached:
        result.append(Reason("only one callee was called, and nobody reached it meanwhile: it may be down"))
    return result


def _reached_elsewhere(fleet: Fleet, suspicion: Suspicion, part: _Part) -> list[Citation]:
    """Return what other sites got from the same edge in the certain seconds of the part."""
    failing = {suspicion.site} | {o.site for o in part.agreeing}
    result: list[Citation] = []
    for diagnosis in fleet.diagnoses:
        site = diagnosis.record.site
        if site in failing or fleet.infos[site].provider != fleet.infos[suspicion.site].provider:
            continue
        served = [
            s for s in diagnosis.groups.provider
            if s.host in suspicion.hosts and s.method in suspicion.methods and s.count(Fate.ANSWERED, *part.core)
        ]  # fmt: skip
        result += cite(diagnosis.record, served, *part.core)
    return result


def _exclusion(control: Control) -> Exclusion:
    return Exclusion(control.side, Reason(f"{control.name} clean in the same seconds", control.readings))


def _candidates(suspicion: Suspicion) -> tuple[Side, ...]:
    """Return the sides that the readings leave open: all on the way, unless a control says that it was not clean."""
    if suspicion.kind == "carrier":
        return (Side.PROVIDER, Side.CARRIER)
    if suspicion.kind == "calls":
        return (Side.CUSTOMER, Side.PROVIDER)
    failed = {c.side for c in suspicion.controls if c.clean is False}
    if failed:
        return ALL_SIDES[min(ALL_SIDES.index(side) for side in failed) :]
    return ALL_SIDES


def _caveats(diagnosis: Diagnosis, hull: Interval) -> tuple[str, ...]:
    result = []
    if any(overlaps(hull, i) for intervals in diagnosis.record.disputed.values() for i in intervals):
        result.append(CLOCK_DISPUTED)
    provider = [s for s in diagnosis.silent if s in diagnosis.groups.provider]
    if provider:
        result.append(f"never answered, so no evidence: {', '.join(sorted({s.target for s in provider}))}")
    return tuple(result)


def admits(post: OutagePost, hull: Interval) -> bool:
    """Return whether a post is the provider's own word for a failure in [start_us, end_us)."""
    if post.maintenance or post.impact in ("none", "maintenance"):
        return False
    starts = [t for t in (post.started_at_us, post.created_at_us, post.posted_at_us) if t is not None]
    if not starts:
        return False
    end_us = post.resolved_at_us if post.resolved_at_us is not None else post.fetched_at_us
    return overlaps((min(starts), max(end_us, min(starts) + 1)), hull)
