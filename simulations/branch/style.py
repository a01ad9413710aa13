"""Parameter sets of a world: how many networks, how the sites are equipped, how noisy and how often broken.

Tune on `home`; test on `abroad`, whose ranges home never reaches; judge on blind.draw_style. A single value can be
changed on the command line: `--style home noise=1.5 isps=3`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Style:
    """Counts, shares 0..1 and factors on the ranges of the faults table."""

    isps: int = 6
    regions: int = 4
    providers: int = 5
    edges: int = 2
    transits: int = 3
    carriers: int = 3
    isp_evenness: float = 4.0  # of the ISPs' shares of the sites (Dirichlet); the less, the larger the largest
    provider_evenness: float = 6.0
    peered: float = 0.55  # share of (ISP, network) pairs that peer directly
    wifi_witness: float = 0.8
    wifi_phones: float = 0.2
    told_phones: float = 0.9  # share of sites where the host was told how the phones are connected
    told_witness: float = 1.0  # the same of the witness
    snmp: float = 0.5
    testcalls: float = 0.62
    traces: float = 0.65  # share of sites with a trace, so that `path` is known
    reflectors: float = 1.0  # share of sites that have one to ask, and so below
    second_legs: float = 1.0
    gateway_tcp: float = 1.0
    provider_tcp: float = 1.0  # share of providers
    v6: float = 1.0
    second_every: int = 1  # rounds between two looks at the second provider
    router_limits_icmp: float = 0.18
    silent_gateway: float = 0.0
    silent_hop1: float = 0.25
    silent_edge: float = 0.25
    tech_lte: float = 0.25
    tech_fibre: float = 0.28
    tech_cable: float = 0.1
    noise: float = 1.0  # on jitter and loss of the healthy path
    bursts: float = 1.0  # on the rate of short loss bursts that nobody calls a fault
    spikes: float = 0.0  # share of rounds in which the line holds packets back for some 100 ms
    rate: float = 1.0  # on every kind's rate
    rate_spread: float = 0.0  # sd of the logarithm of a further factor, drawn for each kind
    length: float = 1.0  # on every fault's duration
    severity: float = 1.0  # on loss, delay and jitter of soft faults
    overlap: float = 0.08  # share of faults placed on top of another one
    posts: float = 0.6  # share of the provider's faults that reach its status page
    honest_posts: float = 0.35  # share of posts without a mistake
    invented_posts: float = 3.0  # posts without a fault, per provider and 30 days
    posts_for_others: float = 0.0  # share of an ISP's or transit's shared faults that a provider posts as its own


STYLES = {
    "home": Style(),
    "abroad": Style(
        isps=4, regions=5, providers=6, transits=4, carriers=4, peered=0.35, wifi_witness=0.6, wifi_phones=0.35,
        told_phones=0.7, snmp=0.3, testcalls=0.5, traces=0.5, router_limits_icmp=0.3, silent_hop1=0.4, silent_edge=0.4,
        tech_lte=0.35, tech_fibre=0.2, tech_cable=0.2, noise=1.5, bursts=1.6, rate=1.1, length=0.6, severity=0.7,
        overlap=0.2, posts=0.4, honest_posts=0.2, invented_posts=6.0,
    ),
}  # fmt: skip


def parse_style(words: list[str]) -> Style:
    """Return the style of `NAME [PARAMETER=VALUE ...]`. KeyError or ValueError names what doesn't fit."""
    style = STYLES[words[0]]
    types = {field.name: type(getattr(style, field.name)) for field in fields(Style)}
    return replace(style, **{name: types[name](text) for name, text in (word.split("=", 1) for word in words[1:])})
