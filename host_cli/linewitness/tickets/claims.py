"""Claims for credits as filed: what was asked for which month of a contract, what came of it; appended like tickets.

An item of kind claim is named CONTRACT, MONTH with a tab between; its content is the JSON of one ClaimEvent.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from linewitness.errors import Refused
from linewitness.plain import build, plain

if TYPE_CHECKING:
    from linewitness.ledger import Ledger


class ClaimAct(enum.StrEnum):
    """What happened to a claim."""

    FILED = "filed"
    GRANTED = "granted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ClaimEvent:
    """amount_minor: hundredths of the contract's currency that were asked for or granted, None where not said."""

    contract: str
    month: str
    act: ClaimAct
    at_us: int
    reference: str
    text: str
    amount_minor: int | None


def record(ledger: Ledger, event: ClaimEvent, now_us: int) -> None:
    """Append what happened to a claim."""
    content = json.dumps(plain(event), sort_keys=True, ensure_ascii=False).encode()
    ledger.add_item("claim", f"{event.contract}\t{event.month}", content, now_us)


def claims(ledger: Ledger) -> dict[tuple[str, str], list[ClaimEvent]]:
    """Return what happened to the claim of each (contract, month), in the order of recording."""
    found: dict[tuple[str, str], list[ClaimEvent]] = {}
    for item in ledger.items("claim"):
        try:
            event = build(ClaimEvent, json.loads(item.content))
        except ValueError as e:
            raise Refused(f"a claim that can't be read: {e}", f"ledger: item {item.row}") from e
        found.setdefault((event.contract, event.month), []).append(event)
    return found
