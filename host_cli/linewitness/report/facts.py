"""What a report says beside the settlement: who the sites are, who vouches for the time, by when to claim.

All of it is handed in; None and () stand for what nobody told, and the report says so. Times are UTC microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from linewitness.model import Settlement
from linewitness.report.times import UTC, Zone


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """Who answers for what at a site; time_zone is an IANA name."""

    name: str
    time_zone: str
    isp: str
    provider: str
    carrier: str | None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A Merkle root over the ledger. stamped_us: the bounds that a timestamp authority gave, None without one."""

    created_us: int
    tree_size: int
    root: str
    statement_sha256: str
    stamped_us: tuple[int, int] | None
    is_test: bool


@dataclass(frozen=True, slots=True)
class Deadline:
    """A claim under a contract for a month has to arrive before due_us, None: not known. basis: the rule in words."""

    contract: str
    month: str
    due_us: int | None
    basis: str


@dataclass(frozen=True, slots=True)
class Context:
    """All that is known around a settlement. dossier: the file to run `linewitness verify` on."""

    software: str = "linewitness"
    fleet: str = ""
    fleet_key: str | None = None  # SHA-256 of the fleet's public key in hex
    dossier: str | None = None
    sites: tuple[SiteFacts, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    deadlines: tuple[Deadline, ...] = ()


def zones(settlement: Settlement, context: Context) -> dict[str, Zone]:
    """Return each site's zone: the site's own, else that of its contract, else UTC."""
    of_contract = {a.site: a.time_zone for a in reversed(settlement.accounts)}
    own = {s.name: s.time_zone for s in context.sites}
    names = {site: own.get(site, of_contract.get(site, of_contract.get("*"))) for site in settlement.sites}
    return {site: UTC if name is None else Zone.named(name) for site, name in names.items()}


def report_zone(settlement: Settlement, context: Context) -> Zone:
    """Return the zone for what concerns all sites: theirs where they share one, else UTC."""
    used = set(zones(settlement, context).values())
    return used.pop() if len(used) == 1 else UTC
