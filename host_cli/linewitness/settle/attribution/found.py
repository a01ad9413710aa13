"""What attribution finds: a stretch of one site's time, whose side it was, by which rule and how sure."""

from __future__ import annotations

from dataclasses import dataclass, field

POWER, LAN, ROUTER = "customer_power", "customer_lan", "customer_router"
ACCESS, TRANSIT, PROVIDER, CARRIER = "access", "transit", "provider", "carrier"
UNDETERMINED = "undetermined"


@dataclass(slots=True)
class Found:
    """[start_s, end_s) of true time. first, last: its rounds [first, last). candidates: the sides left open."""

    site: str
    start_s: float
    end_s: float
    first: int
    last: int
    side: str
    rule: str
    confidence: float = 0.9
    candidates: tuple[str, ...] = ()
    facts: dict[str, float] = field(default_factory=dict)


def in_order(found: list[Found]) -> list[Found]:
    """Return findings in the order of site and time."""
    return sorted(found, key=lambda f: (f.site, f.start_s, f.end_s, f.side))
