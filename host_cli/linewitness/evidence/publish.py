"""Publishing plans before a term: each witness, target, cadence and method, signed by the fleet key, to give away.

A publication is the plan's own octets in a COSE_Sign1 with external_aad "linewitness/1/plan". The next checkpoint
covers it; a dossier then shows that what was measured was agreed on before, and was not chosen afterwards.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from linewitness.evidence.signed import AAD_PLAN, Signer
from linewitness.evidence.stamps import utc
from linewitness.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Publication:
    """One witness's published plan: sha256 is that of the plan's octets, as the batches name it."""

    site: str
    witness: str
    kid: str
    sha256: str
    signed: bytes
    plan: dict[str, Any]

    @property
    def stem(self) -> str:
        return f"{self.site}.{self.witness}"


def publish_plans(
    book: Ledger,
    fleet: Signer,
    witnesses: Sequence[tuple[str, str, bytes]],
    plan_of: Callable[[str, str], bytes],
    describe: Callable[[bytes], dict[str, Any]],
    now_us: int,
) -> list[Publication]:
    """Sign the plan of each witness (site, name, kid), keep it as an item of kind "publication", and return them all.

    One that is published already is not published again.
    """
    result = []
    for site, witness, kid in witnesses:
        octets = plan_of(site, witness)
        signed = fleet.seal(octets, AAD_PLAN)
        name = f"{site}/{witness}"
        if all(item.content != signed for item in book.items("publication", name=name)):
            book.add_item("publication", name, signed, now_us)
        digest = hashlib.sha256(octets).hexdigest()
        result.append(Publication(site, witness, kid.hex(), digest, signed, describe(octets)))
    return result


def as_text(publications: Sequence[Publication], fingerprint: str, fleet_name: str) -> str:
    """Return the publications in words, to mail to the provider."""
    parts = [
        f"Measurement plans of {fleet_name}, signed with the key {fingerprint}.",
        f"{len(publications)} witnesses. Each batch of readings names its plan by the SHA-256 below.",
    ]
    for one in publications:
        plan = one.plan
        parts.append(
            f"\n{one.site}/{one.witness}  key {one.kid}\n"
            f"  plan {one.sha256}\n"
            f"  issued {utc(plan['issued_utc_us'])}, a batch every {plan['batch_s']} s,"
            f" failing after {plan['fail_rounds']} rounds, clear after {plan['clear_rounds']}"
        )
        for target in plan["targets"]:
            port = f":{target['port']}" if target["port"] else ""
            options = "".join(f", {key} {value}" for key, value in target["options"].items())
            parts.append(
                f"  {target['name']:<16} {target['segment']:<9} {target['method']:<8} {target['role']:<8}"
                f" {target['host']}{port} every {target['period_ms']} ms"
                f" ({target['fast_period_ms']} ms while failing), lost after {target['timeout_ms']} ms{options}"
            )
    return "\n".join(parts)
