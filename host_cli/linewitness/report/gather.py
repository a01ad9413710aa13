"""What a report needs beside the settlement, read from a fleet folder: the input side, so that `render` has none."""

from __future__ import annotations

import hashlib
import importlib.metadata
from typing import TYPE_CHECKING

from linewitness.evidence.ledgered import taken
from linewitness.model import QualityWindow, Settlement
from linewitness.report.deadlines import deadlines
from linewitness.report.facts import Checkpoint, Context, SiteFacts
from linewitness.settling import read_contracts, read_plans, read_record

if TYPE_CHECKING:
    from linewitness.fleet import Fleet


def software() -> str:
    return f"linewitness {importlib.metadata.version('linewitness')}"


def context(fleet: Fleet, settlement: Settlement, dossier: str | None = None) -> Context:
    """Return what the fleet knows of the settlement's sites, keys, checkpoints and deadlines."""
    with fleet.ledger() as book:
        stamped = [
            Checkpoint(
                t.statement.created_us,
                t.statement.tree_size,
                t.statement.root.hex(),
                hashlib.sha256(t.record.statement).hexdigest(),
                (t.stamp.earliest_us, t.stamp.latest_us),
                t.stamp.is_test,
            )
            for t in taken(book)
        ]
    sites = [SiteFacts(s.name, s.time_zone, s.isp, s.provider, s.carrier) for s in fleet.sites()]
    return Context(
        software(),
        fleet.name,
        fleet.fingerprint,
        dossier,
        tuple(s for s in sites if s.name in settlement.sites),
        tuple(stamped),
        deadlines(settlement, read_contracts(fleet)),
    )


def windows(fleet: Fleet, settlement: Settlement) -> list[QualityWindow]:
    """Return the call-quality windows of the settlement's sites and period."""
    period = (settlement.start_us, settlement.end_us)
    result: list[QualityWindow] = []
    with fleet.ledger() as book:
        plans = dict(read_plans(book))
        for site in settlement.sites:
            result += read_record(book, site, plans, period).windows
    return result
