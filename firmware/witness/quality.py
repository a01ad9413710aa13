"""Statistics of a call-quality window: integers in, integers out.

A loss pattern is a sequence with one octet for each packet that counts, in sending order: 0 received, 1 lost to the
call (never arrived, or later than the jitter buffer waits). It is searched, not walked through: a window has up to
1,500. Delays are microseconds of the received ones.

Percentiles are those of RFC 2330 11.3: the smallest value that at least so many per cent of the values do not exceed
(nearest rank); always a value that was measured.
"""

GMIN = 16  # received packets in a row that end a burst (RFC 3611 4.7.2)


def percentile(ascending: list[int], percent: int) -> int:
    """Return the percentile (1..100) of a non-empty ascending sequence."""
    rank = (len(ascending) * percent + 99) // 100
    return ascending[max(rank, 1) - 1]


def summary(ascending: list[int]) -> list[int]:
    """Return [min, mean, p95, max] of a non-empty ascending sequence; the mean is rounded down."""
    return [ascending[0], sum(ascending) // len(ascending), percentile(ascending, 95), ascending[-1]]


def pdv(ascending: list[int]) -> list[int]:
    """Return [p95, max] of delay minus the least delay (RFC 5481 4.2) of a non-empty ascending sequence."""
    return [percentile(ascending, 95) - ascending[0], ascending[-1] - ascending[0]]


class Jitter:
    """Interarrival jitter in whole units of the transit times given (RFC 3550 6.4.1, integer form of appendix A.8).

    Transits are to be given in the order of arrival.
    """

    def __init__(self) -> None:
        self._transit: int | None = None
        self._scaled = 0  # 16 times the jitter

    def update(self, transit: int) -> None:
        """Take the next packet's arrival time minus its sending time."""
        if self._transit is not None:
            self._scaled += abs(transit - self._transit) - ((self._scaled + 8) >> 4)
        self._transit = transit

    def value(self) -> int:
        """Return the jitter now; 0 before the second packet."""
        return self._scaled >> 4


def burst_r_milli(pattern: bytes | bytearray) -> int:
    """Return BurstR x 1000 (ITU-T G.107 7.4): mean loss run over the 1 / (1 - p) of random loss; 1000 without loss.

    0 where everything was lost: there is no burstiness to speak of then.
    """
    octets = bytes(pattern)
    lost = octets.count(b"\x01")
    runs = octets.count(b"\x00\x01") + (octets[:1] == b"\x01")
    if not lost:
        return 1000
    n = len(pattern)
    return (2000 * lost * (n - lost) + runs * n) // (2 * runs * n)


def bursts(pattern: bytes | bytearray, interval_ms: int, gmin: int = GMIN) -> list[int]:
    """Return [burst density/256, gap density/256, mean burst ms, mean gap ms, bursts] (RFC 3611 4.7.2).

    A burst begins and ends with a lost packet, has at least two, and nowhere gmin received ones in a row; all else is
    gap. The window is taken to lie between received packets. Means are rounded down; 0 where there is none.
    """
    n = len(pattern)
    burst_packets = burst_lost = gap_lost = gaps = count = 0
    after_burst = 0  # where the gap now open began
    first = last = lost_in_group = 0  # the group of losses now open, if any
    octets = bytes(pattern)
    i = -1
    while i < n:
        i = octets.find(b"\x01", i + 1)
        if i < 0:
            i = n
        if lost_in_group and (i == n or i - last > gmin):
            if lost_in_group > 1:
                count += 1
                burst_packets += last - first + 1
                burst_lost += lost_in_group
                gaps += first > after_burst
                after_burst = last + 1
            else:
                gap_lost += 1
            lost_in_group = 0
        if i < n:
            if not lost_in_group:
                first = i
            last = i
            lost_in_group += 1
    gaps += n > after_burst
    gap_packets = n - burst_packets
    return [
        _density(burst_lost, burst_packets),
        _density(gap_lost, gap_packets),
        burst_packets * interval_ms // count if count else 0,
        gap_packets * interval_ms // gaps if gaps else 0,
        count,
    ]


def _density(lost: int, packets: int) -> int:
    return min(255, 256 * lost // packets) if packets else 0
