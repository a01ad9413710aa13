"""The ledger: append-only store of verified batches and of all else that is evidence. Only this package knows SQL.

    with ledger.open("sqlite:ledger.sqlite", folder) as book:
        outcomes = book.store(batches)              # one durable commit for all of them
        for batch in book.batches(site="leeds"): ...  # in the order of the chain

Which store is chosen by the URL's scheme; `sqlite:PATH` is the one there is, PATH relative to the fleet folder.
Everything derived can be rebuilt from the batches and items.
"""

from __future__ import annotations

from pathlib import Path

from linewitness.errors import UsageProblem
from linewitness.ledger.records import (
    DUPLICATE,
    FORK,
    ITEM_KINDS,
    STORED,
    ChainHead,
    Enrolment,
    Finding,
    Item,
    NewBatch,
    Outcome,
    StoredBatch,
)
from linewitness.ledger.sqlite import Ledger

__all__ = [
    "DUPLICATE",
    "FORK",
    "ITEM_KINDS",
    "STORED",
    "ChainHead",
    "Enrolment",
    "Finding",
    "Item",
    "Ledger",
    "NewBatch",
    "Outcome",
    "StoredBatch",
    "open",
]


def open(url: str, folder: Path | None = None, *, create: bool = False) -> Ledger:
    """Return the ledger at url, made new where create is true. Raises CannotDo, or UsageProblem for another scheme."""
    scheme, _, rest = url.partition(":")
    if scheme != "sqlite" or not rest:
        raise UsageProblem(f"no store for this ledger url: {url!r}", "fleet.toml: ledger: url", "sqlite:ledger.sqlite")
    return Ledger((folder or Path(".")) / rest.removeprefix("//"), create=create)
