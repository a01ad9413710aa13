"""`linewitness status`."""

from __future__ import annotations

import contextlib
import socket
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from linewitness.cli import command, table

if TYPE_CHECKING:
    from linewitness.fleet import Fleet


def _render(value: dict[str, Any]) -> str:
    broker = "listens" if value["broker_listens"] else "does not answer"
    lines = [f"fleet {value['name']}: broker {value['broker']} {broker}, ledger {value['batches']} batches"]
    rows = []
    for row in value["witnesses"]:
        age = "never" if row["silent_s"] is None else f"{row['silent_s']} s ago"
        rows.append((f"{row['site']}/{row['witness']}", age, row["missing"]))
    if rows:
        lines += ["", table(("witness", "last heard", "missing"), rows)]
    if value["findings"]:
        lines += ["", "findings: " + ", ".join(f"{count} {kind}" for kind, count in value["findings"].items())]
    return "\n".join(lines)


@command(render=_render)
def status(fleet: Fleet) -> dict[str, object]:
    """Show whether the broker listens, when each witness was last heard, and what was found amiss.

    Example: linewitness status --fleet acme
    """
    now_us = time.time_ns() // 1000
    listens = False
    with contextlib.suppress(OSError), socket.create_connection((fleet.broker.host, fleet.broker.port), 1):
        listens = True
    with fleet.ledger() as book:
        heads = {head.kid: head for head in book.heads()}
        witnesses = []
        for known in book.enrolments():
            if known.retired_us is None:
                head = heads.get(known.kid)
                silent_s = None if head is None else (now_us - head.received_us) // 1_000_000
                missing = head.missing if head else 0
                row = {"site": known.site, "witness": known.witness, "silent_s": silent_s, "missing": missing}
                witnesses.append(row)
        findings: Counter[str] = Counter()
        for finding in book.findings():
            findings[finding.kind] += finding.count
        return {
            "name": fleet.name,
            "broker": f"{fleet.broker.host}:{fleet.broker.port}",
            "broker_listens": listens,
            "batches": sum(head.batches for head in heads.values()),
            "witnesses": witnesses,
            "findings": dict(findings),
        }
