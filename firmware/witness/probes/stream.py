"""The packets of a call-quality window, each sent at its own absolute time so that nothing drifts; replies as they
come.

Who makes the packets and reads the replies is the subclass: stamp (a session-reflector), call_media (RTP in a call).
"""

import asyncio

from linewitness_wire import codes
from witness.sample import GRACE_MS
from witness.sockets import Bell


class Stream:
    """Sends a Window's packets through `media` to peer. Subclasses have `packet`, `accept`, and may have `over`."""

    anywhere = False  # whether replies may come from another address than the packets go to

    def __init__(self, media, clock, peer: object, window) -> None:
        self._media = media
        self._clock = clock
        self._peer = peer
        self._window = window
        self._start_us = 0
        self._checked_us = 0
        self._complete = Bell()

    def packet(self, sequence: int, at_us: int) -> bytes | bytearray:
        """Return the packet to send now."""
        raise NotImplementedError

    def accept(self, octets: bytes, received_us: int) -> bool:
        """Take a datagram of the peer; return whether it was ours to take."""
        raise NotImplementedError

    def over(self) -> bool:
        """Return whether to stop before all is sent."""
        return False

    async def run(self, packets: int, interval_us: int, timeout_us: int) -> tuple[int, int]:
        """Send all and wait for the replies; return when the first was sent and how long it all took."""
        self._clock.watch()
        listener = self._media.listen(None if self.anywhere else self._peer, self.accept)
        try:
            await asyncio.sleep_ms(0)  # lets the clock begin to watch
            self._start_us = self._checked_us = self._clock.now_us()
            for sequence in range(packets):
                await self._until(self._start_us + sequence * interval_us)
                if self.over():
                    break
                self._send(sequence)
                self._look_for_stall()
            await self.replies(timeout_us)
            self._look_for_stall()
        finally:
            self._media.forget(listener)
            self._clock.unwatch()
        self._window.close(self._media.link.is_up())
        return self._start_us, self._clock.now_us() - self._start_us

    async def _until(self, at_us: int) -> None:
        """Return at at_us, not before: asyncio sleeps whole milliseconds, the rest is spent in turns of the loop."""
        while True:
            left_us = at_us - self._clock.now_us()
            if left_us <= 0:
                return
            await asyncio.sleep_ms(left_us // 1000)

    def _send(self, sequence: int) -> None:
        packet = self.packet(sequence, self._clock.now_us())
        at_us = self._clock.now_us()
        self._window.note_sent(at_us - self._start_us)
        if not self._media.link.is_up():
            self._window.note_refused(True, None)
            return
        number = self._media.send(packet, self._peer)
        if number:
            sample = self._media.refused(number, at_us)
            self._window.note_refused(sample.fate == codes.FATE_VOID, sample.code)

    def _look_for_stall(self) -> None:
        now_us = self._clock.now_us()
        self._window.note_stall(now_us - self._start_us, self._clock.stall_us_since(self._checked_us))
        self._checked_us = now_us

    def replied(self) -> None:
        """To be called after each reply: the wait ends with the last one."""
        if not self._window.outstanding:
            self._complete.ring()

    async def replies(self, timeout_us: int) -> None:
        """Return when every packet is answered, or timeout_us after the last."""
        self._complete.rung = not self._window.outstanding
        if not await self._complete.within((timeout_us + 999) // 1000):
            await self._complete.within(GRACE_MS)
