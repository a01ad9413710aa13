"""Makes batches: header, chain and one signature each, and puts them into the journal before anybody sees them.

The signature takes tens of milliseconds on the boards, so it is made in slices with a pause after each: a queue of four
datagrams would overflow otherwise.
"""

import asyncio
import hashlib

from linewitness_wire import bodies, cose, record

from .slices import paced


class BatchSigner:
    """Signs for one place with the journal's key. firmware: its hash (see identity)."""

    def __init__(self, journal, site: str, witness: str, firmware: bytes, quiet) -> None:
        self._journal = journal
        self._aad = cose.aad(site, witness)
        self._firmware = firmware
        self._quiet = quiet
        self._protected = cose.protected(journal.kid)

    async def seal(self, batch, clock, plan_digest: bytes, brief: bool) -> None:
        """Sign a tally.Batch and make it durable. clock: record.Clock at its end; brief: see Journal.append_slices().

        Raises JournalFull, NotNow or OSError; then nothing was signed that counts: the same batch can be sealed again.
        """
        body = bodies.encode(batch.body, batch.end_us - batch.start_us)
        async with self._quiet:
            head = self._journal.head
            counts = (len(batch.body.readings), len(batch.body.events), len(body))
            header = record.Header(
                head.seq + 1, head.digest, self._journal.boot, batch.start_us, batch.end_us, clock, plan_digest,
                self._firmware, hashlib.sha256(body).digest(), counts, self._journal.anchor,
            )  # fmt: skip
            payload = record.encode_header(header)
            signature = await self._sign(cose.to_be_signed(self._protected, self._aad, payload))
            octets = cose.join(self._journal.kid, payload, signature)
            await paced(self._journal.append_slices(octets, body, header, batch.quiet, brief))

    async def settle(self) -> None:
        """In the slot: see Journal.settle_slices(). Raises OSError."""
        if not self._journal.is_settled:
            async with self._quiet:
                await paced(self._journal.settle_slices())

    async def _sign(self, message: bytes) -> bytes:
        slices = self._journal.signer.sign_slices(message)
        while True:
            signature = next(slices)
            if signature is not None:
                return signature
            await asyncio.sleep_ms(0)
