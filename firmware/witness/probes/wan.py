"""What a router says of its WAN interface, kept from one reading to the next: uptime, status, and what flowed.

Counters wrap (modulo 2^32 or 2^64); an interval over which the uptime went back, or in which a counter is missing, has
no difference and counts for nothing. The newest reply stays as the beginning of the next reading, so that successive
readings leave no octet out. Utilisation is octets over counted_us; the peak is what tells self-made congestion.
"""

from collections import namedtuple

from linewitness_wire import record

Word = namedtuple("Word", ("at_us", "uptime_s", "status", "octets_in", "octets_out", "errors"))
"""One reply, at monotonic at_us; whatever it did not tell is None. errors are modulo 2^32."""


class Account:
    """The account of one router."""

    def __init__(self) -> None:
        self._last: "Word | None" = None
        self._begin()

    def _begin(self) -> None:
        self._told = False
        self._restarts = 0
        self._octets = [0, 0]
        self._peak = [0, 0]
        self._counted_us = 0
        self._errors: "int | None" = None

    def note(self, word: Word, modulus: int) -> None:
        """Take one reply; modulus: of its octet counters."""
        last, self._last = self._last, word
        self._told = True
        if last is None:
            return
        if None not in (last.uptime_s, word.uptime_s) and word.uptime_s < last.uptime_s:
            self._restarts += 1
            return
        if None in (last.octets_in, word.octets_in, last.octets_out, word.octets_out):
            return
        span_us = word.at_us - last.at_us
        if span_us <= 0:
            return
        self._counted_us += span_us
        pairs = ((last.octets_in, word.octets_in), (last.octets_out, word.octets_out))
        for i in range(2):
            octets = (pairs[i][1] - pairs[i][0]) % modulus
            self._octets[i] += octets
            self._peak[i] = max(self._peak[i], octets * 8000 // span_us)
        if None not in (last.errors, word.errors):
            self._errors = (self._errors or 0) + (word.errors - last.errors) % (1 << 32)

    def take(self) -> dict:
        """Return {record key: value} of what was told since the last call; empty where nothing was."""
        last = self._last
        if not self._told or last is None:
            return {}
        reading = {}
        if last.uptime_s is not None:
            reading[record.UPTIME_S] = min(last.uptime_s, record.U32)
            reading[record.RESTARTS] = min(self._restarts, record.U16)
        if last.status is not None:
            reading[record.WAN_STATUS] = last.status
        if self._counted_us:
            reading[record.COUNTED_US] = self._counted_us
            reading[record.OCTETS] = [min(octets, record.U48) for octets in self._octets]
            reading[record.PEAK_KBITS] = [min(kbits, record.U32) for kbits in self._peak]
            if self._errors is not None:
                reading[record.IN_ERRORS] = min(self._errors, record.U32)
        self._begin()
        return reading
