"""The second method: what the pooled engine (settle.attribution) says of the very readings that a ledger holds.

It sees whole minutes of all sites of the fleet side by side, calibrated on what a healthy day shows, while the rules
on samples (settle.local, settle.pool) see single probes. A long time is judged window by window. It gives a side; the
samples give the ends. It is asked only of sites that it has seen for LEAST_ROUNDS, and its silence counts only where a
failure had SEEN_ROUNDS whole rounds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from linewitness.model import SIDE_OF, OutagePost, Segment, Side
from linewitness.settle import feeder
from linewitness.settle.attribution import found as sides
from linewitness.settle.attribution.attribute import attribute
from linewitness.settle.attribution.found import Found
from linewitness.settle.attribution.rounds import Rounds
from linewitness.settle.attribution.windows import Window, attribute_onward, windows
from linewitness.settle.grid import STEP_US, Grid
from linewitness.settle.intervals import Interval, intersect, length
from linewitness.settle.timeline import SiteInfo, SiteRecord

DOUBTFUL = ("peering_alone", "calls_of_this_site")  # one site against the others: a provider's block looks the same
LEAST_ROUNDS = 60  # an hour: less shows no healthy day
SEEN_ROUNDS = 5
MOST, SOME = 0.8, 0.5  # shares of a stretch

SEGMENT_OF = {
    sides.POWER: Segment.POWER,
    sides.LAN: Segment.LAN,
    sides.ROUTER: Segment.ROUTER,
    sides.ACCESS: Segment.ACCESS,
    sides.TRANSIT: Segment.TRANSIT,
    sides.PROVIDER: Segment.PROVIDER,
    sides.CARRIER: Segment.CARRIER,
}
"""What the engine calls its sides; the customer's are told apart by segment. Absent: undetermined."""

WORDS = {
    "peering": "all of this ISP's sites lost the provider, those of other ISPs reached it",
    "peering_alone": "sites of other ISPs reached the provider all the while",
    "region_of_a_transit": "sites of the same ISP elsewhere reached the provider, those of this region did not",
    "transit_shared": "other targets beyond the ISP failed with the provider",
    "isp_filters_sip": "signalling to two providers fell silent at this ISP's sites and nowhere else",
    "site_filters_sip": "signalling to two providers fell silent at this site, not at others of its ISP",
    "rules_of_the_fleet": "signalling to two providers fell silent at sites of several ISPs: a rule of the customer's",
    "calls_of_this_site": "calls of other sites came about all the while, this site's failed",
    "pooled_whole": "the provider failed behind several ISPs in the same rounds, the own controls did not",
    "pooled_media_calls": "media and test calls failed behind several ISPs together, the own controls did not",
    "pooled_media_echo": "media and echoes to the same edge suffered behind several ISPs, the own controls did not",
    "media_probe_alone": "media alone failed, and neither calls nor echoes tell whether it is only what we ask",
    "pooled_sip_calls": "signalling and test calls failed behind several ISPs in the same rounds",
    "pooled_sip_tcp": "signalling and connections to it failed behind several ISPs in the same rounds",
    "all_edges": "all edges of the provider failed behind several ISPs together, the own controls did not",
    "some_isps_only": "all sites of some ISPs lost the provider, none of the others: it may be a network they share",
    "one_transit": "all that failed cross one transit network, and none that did not",
    "several_providers": "two providers failed in one moment, and no call tells whether phones felt it",
    "two_sites_without_calls": "two sites alone saw it, and neither makes calls",
    "carrier_or_callee": "the callee is not seen to answer meanwhile: it may be what was down",
    "calls_or_rule": "calls failed while signalling was answered: an account, a rule or the provider's call handling",
    "asking_or_service": "only our asking is seen to have failed, and calls do not tell",
    "asking_refused": "our asking was refused, which says nothing of calls",
    "calls_only_partly": "calls failed for a part of the time only, or at some of the sites",
    "not_one_provider": "something else failed in the same moment that no single provider could do",
    "names_gone": "the provider's name failed at most of its sites and calls with it, and no other provider's did",
    "pooled_code": "signalling answered behind several ISPs that it fails",
    "code": "signalling answered that it fails",
    "carrier": "calls over this carrier failed while those inside the network, and over others, came about",
    "line_quality": "what was lost or late was so on the ISP's line: the gateway showed nothing of it",
    "lan_quality": "the gateway, on the same radio or cable, showed the same loss and delay",
    "router_overloaded": "the router itself answered late or not at all",
    "isp_polices_udp": "only UDP suffered, at this ISP's sites alone",
    "some_anchors_clean": "some targets beyond the ISP were clean, others not",
}  # fmt: skip
"""The engine's rules as an engineer of the other side reads them."""


@dataclass(frozen=True, slots=True)
class Word:
    """What the engine says of one stretch [start_us, end_us) of a site. segment is None where it is undetermined."""

    span: Interval
    segment: Segment | None
    rule: str
    confidence: int  # percent
    candidates: tuple[str, ...]

    @property
    def side(self) -> Side:
        return Side.UNDETERMINED if self.segment is None else SIDE_OF[self.segment]

    @property
    def text(self) -> str:
        return WORDS.get(self.rule, self.rule.replace("_", " "))


@dataclass(slots=True)
class Engine:
    """The engine's words by site, in the order of time; heard: the sites that it was asked of."""

    words: dict[str, list[Word]] = field(default_factory=dict)
    heard: frozenset[str] = frozenset()

    def about(self, site: str, span: Interval) -> list[Word]:
        """Return the words on a stretch."""
        return [w for w in self.words.get(site, ()) if w.span[0] < span[1] and span[0] < w.span[1]]

    def names(self, site: str, span: Interval) -> Word | None:
        """Return the word that speaks for most of a stretch; None where another segment is spoken of as well."""
        shares = self._shares(site, span)
        named = [segment for segment, share in shares.items() if segment is not None and share >= MOST]
        if len(named) != 1 or any(share > 1 - MOST for segment, share in shares.items() if segment != named[0]):
            return None
        return next(w for w in self.about(site, span) if w.segment is named[0])

    def objection(self, site: str, span: Interval) -> str:
        """Return why the provider must not be named for a stretch; empty where the engine has nothing against it."""
        if site not in self.heard:
            return ""
        shares = self._shares(site, span)
        for word in self.about(site, span):
            if word.segment not in (None, Segment.PROVIDER) and shares[word.segment] >= SOME:
                return f"all sites side by side say otherwise: {word.text}"
        if shares.get(Segment.PROVIDER, 0.0) >= SOME:
            return ""
        short = span[1] - span[0] < SEEN_ROUNDS * STEP_US
        if short and shares.get(None, 0.0) < SOME:
            return ""
        undecided = next((w for w in self.about(site, span) if w.segment is None), None)
        return "all sites side by side do not show that it was the provider" + (
            f": {undecided.text}" if undecided else ""
        )

    def _shares(self, site: str, span: Interval) -> dict[Segment | None, float]:
        """Return which share of a stretch the engine gives to each segment; its words reach a round further."""
        spans: defaultdict[Segment | None, list[Interval]] = defaultdict(list)
        for word in self.about(site, span):
            spans[word.segment].append((word.span[0] - STEP_US, word.span[1] + STEP_US))
        whole = max(1, span[1] - span[0])
        return {segment: length(intersect(parts, [span])) / whole for segment, parts in spans.items()}


def ask(
    records: Sequence[SiteRecord], infos: Mapping[str, SiteInfo], posts: Sequence[OutagePost], period: Interval
) -> Engine:
    """Return what the engine says of a fleet in [start_us, end_us). Deterministic, whatever the order of records."""
    fleet = feeder.common(records, infos)
    fed = [
        record for record in sorted(records, key=lambda r: r.site)
        if int(feeder.measured_rounds(record, period).sum()) >= LEAST_ROUNDS
    ]  # fmt: skip

    def sites(window: Window) -> Iterator[Rounds]:
        span = (period[0] + window.first * STEP_US, min(period[0] + window.last * STEP_US, period[1]))
        return (feeder.rounds(record, infos[record.site], span, fleet) for record in fed)

    judge = partial(attribute, posts=feeder.posts(posts), blocks_told=True)
    words: defaultdict[str, list[Word]] = defaultdict(list)
    if fed:
        for found in attribute_onward(windows(Grid(period).count, STEP_US / 1e6, len(fed)), sites, judge):
            words[found.site].append(_word(found))
    return Engine(dict(words), frozenset(record.site for record in fed))


def _word(found: Found) -> Word:
    span = (round(found.start_s * 1e6), round(found.end_s * 1e6))
    segment = None if found.rule in DOUBTFUL else SEGMENT_OF.get(found.side)
    return Word(span, segment, found.rule, int(100 * found.confidence), found.candidates)
