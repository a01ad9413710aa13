"""NTP (RFC 5905): one query as a client's; how far the server's time is from ours, and how wrong it may be.

The plan's time servers keep the witness's clock (see witness.sync); a target of this method is a reading about one: the
router's, or the provider's, by which phones judge the times in certificates. A reply of a server that is not
synchronised is FATE_WRONG with its stratum as code (0: a kiss of death, 16: unsynchronised).
"""

from linewitness_wire import codes, plan, record
from witness import sync
from witness.sample import Sample

from .base import SingleShot


class Ntp(SingleShot):
    """NTP queries through `control`."""

    def __init__(self, control, clock, urandom) -> None:
        super().__init__()
        self._control = control
        self._clock = clock
        self._urandom = urandom
        self._best: "dict[str, tuple]" = {}  # by target: (round trip, offset_us, root distance) of the least round trip

    async def run(self, target: plan.Target, address: str) -> Sample:
        """Ask once; return the Sample."""
        nonce = self._urandom(8)
        replies: list = []

        def judge(octets: bytes) -> "tuple | None":
            if len(octets) < sync.PACKET_OCTETS:
                self.count(target, record.MALFORMED)
                return ()
            if octets[24:32] != nonce:
                return None
            reply = sync.read_reply(octets, nonce)
            if reply is None:
                return codes.FATE_WRONG, octets[1]
            replies.append(reply)
            return codes.FATE_ANSWERED, None

        peer = self._control.endpoint(address, target.port or sync.PORT)
        sample = await self._control.ask(sync.request(nonce), peer, judge, target.timeout_ms * 1000)
        if replies and sample.rtt_us is not None:
            self._note(target, sample, replies[0])
        return sample

    def _note(self, target: plan.Target, sample: Sample, reply: tuple) -> None:
        receive_us, transmit_us, distance_us = reply
        held_us = min(transmit_us - receive_us, sample.rtt_us)
        ours_us = self._clock.utc_at(sample.sent_us + sample.rtt_us // 2)
        if ours_us is None:
            return
        round_us = sample.rtt_us - held_us
        best = self._best.get(target.name)
        if best is None or round_us < best[0]:
            offset_us = (receive_us + transmit_us) // 2 - ours_us
            self._best[target.name] = (round_us, offset_us, (round_us + 1) // 2 + distance_us)

    def extras(self, target: plan.Target) -> "dict":
        """Return the counts since the last call, and the offset and root distance of its best sample."""
        extras = super().extras(target)
        best = self._best.pop(target.name, None)
        if best is not None:
            extras[record.OFFSET_US] = max(-record.U48, min(record.U48, best[1]))
            extras[record.ROOT_DISTANCE_US] = min(record.U48, best[2])
        return extras
