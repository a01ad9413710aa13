"""One call-quality window: what was sent and what came back, and the reading that it makes. No socket, no clock.

Times are microseconds since the window's start. A packet ends as one of
  answered   its reply came within the loss threshold; late among them, where its delay exceeds the window's least by
             more than the jitter buffer's depth: a call would have lost it
  lost       no reply within the threshold
  void       the witness spoilt it (see witness.sample): it counts neither for loss nor for delay

Delay is the round trip less the reflector's hold; half of it stands for one way. The least of the window is what a
fixed jitter buffer is set by, so that the call's delay is that, the buffer's depth and the codec's. R and MOS are
absent where nothing was answered: without delay there is no rating, and the loss says it all.
"""

from array import array

from linewitness_wire import record
from witness import emodel, quality
from witness.sample import LOSS_STALL_US, STALL_US

from .stamp_packet import Reflected, hold_us

_OUTSTANDING, _ANSWERED, _TOO_LATE, _VOID = range(4)
_NONE = 0xFFFFFFFF  # in the array of delays only: not answered


class Window:
    """Counts one window of `packets` packets; stateful: whether the reflector is known to count for itself."""

    def __init__(self, packets: int, interval_us: int, timeout_us: int, stateful: bool):
        self.stateful = stateful
        self.outstanding = 0
        self.malformed = 0
        self._interval_us = interval_us
        self._timeout_us = timeout_us
        self._sent_us = array("I", bytes(4 * packets))
        self._rtt_us = array("I", b"\xff" * (4 * packets))
        self._state = bytearray(packets)
        self._sent = 0
        self._highest = -1
        self._duplicate = 0
        self._reordered = 0
        self._stall_us = 0
        self._stalled = (-1 << 30, -1 << 30)  # the newest stretch of stalls, [begin, end)
        self._stalls: list[tuple[int, int]] = []  # those in which the receive queue may have overflowed
        self._jitter = quality.Jitter()
        self._codes: dict[int, int] = {}
        self._reflected = bytearray((2 * packets + 7) // 8)  # which of the reflector's numbers have come
        self._reflector_highest = -1
        self._foreign_count = False  # the reflector's numbers are not of this session

    # --- while it runs ---

    def sent_us(self, sequence: int) -> int | None:
        """Return when a packet was sent, None for one that was not."""
        return self._sent_us[sequence] if sequence < self._sent else None

    def note_sent(self, at_us: int) -> None:
        """Take the next packet as sent at at_us; void where that is more than STALL_US after its turn."""
        sequence = self._sent
        self._sent_us[sequence] = at_us
        self._sent += 1
        self.outstanding += 1
        if at_us - sequence * self._interval_us > STALL_US:
            self._state[sequence] = _VOID

    def note_refused(self, void: bool, code: int | None) -> None:
        """The stack refused the packet sent last: void or lost, with -errno as its code."""
        if void:
            self._state[self._sent - 1] = _VOID
        if code is not None:
            self._codes[code] = self._codes.get(code, 0) + 1

    def note_stall(self, now_us: int, stall_us: int) -> None:
        """Take the longest stall since the last call. Stalls less than an interval apart are one to the receive queue,
        which is not empty in between."""
        self._stall_us = max(self._stall_us, stall_us)
        if stall_us <= STALL_US:
            return
        begin_us, end_us = self._stalled
        if now_us - stall_us - end_us >= self._interval_us:
            begin_us = now_us - stall_us
        self._stalled = (begin_us, now_us)
        if now_us - begin_us > LOSS_STALL_US:
            if self._stalls and self._stalls[-1][0] == begin_us:
                self._stalls.pop()
            self._stalls.append(self._stalled)

    def note_reply(self, reflected: Reflected, received_us: int, stall_us: int) -> None:
        """Take the reply to a packet that was sent; stall_us is the longest stall since then."""
        sequence = reflected.sender_sequence
        round_us = received_us - self._sent_us[sequence]
        held_us = hold_us(reflected)
        if not 0 <= held_us <= round_us:
            self.malformed += 1
            return
        self._count_reflector(reflected.sequence, sequence)
        self.note_echo(sequence, round_us, held_us, stall_us)

    def note_echo(self, sequence: int, round_us: int, held_us: int, stall_us: int) -> None:
        """Take a reply to packet `sequence`, round_us after it was sent; held_us of that the far end kept it."""
        if self._state[sequence] in (_ANSWERED, _TOO_LATE) or self._rtt_us[sequence] != _NONE:
            self._duplicate += 1
            return
        self.outstanding -= 1
        if sequence < self._highest:
            self._reordered += 1
        self._highest = max(self._highest, sequence)
        if self._state[sequence] == _VOID or stall_us > STALL_US:
            self._state[sequence] = _VOID
            self._rtt_us[sequence] = 0  # answered once: the next is a duplicate
        elif round_us > self._timeout_us:
            self._state[sequence] = _TOO_LATE
        else:
            self._state[sequence] = _ANSWERED
            self._rtt_us[sequence] = round_us - held_us
            self._jitter.update(round_us - held_us)

    def _count_reflector(self, number: int, sequence: int) -> None:
        """Keep a reflector's own sequence number, for the loss by direction (RFC 8762 4.3.1)."""
        if number > self._sent + self._duplicate or number >= 8 * len(self._reflected):
            self._foreign_count = True
            return
        if number != sequence:
            self.stateful = True
        self._reflected[number >> 3] |= 1 << (number & 7)
        self._reflector_highest = max(self._reflector_highest, number)

    # --- when it is over ---

    def close(self, link_up: bool) -> None:
        """Settle what is still unanswered: void where the witness may have lost it, else lost.

        What had to wait for a stall goes out at once after it, so that its replies may fill the queue a second time:
        the next packet in turn may find it full too.
        """
        delays = [rtt_us for rtt_us in self._rtt_us if rtt_us != _NONE]
        usual_us = max(delays) if delays else self._timeout_us
        for sequence in range(self._sent):
            if self._state[sequence] != _OUTSTANDING:
                continue
            sent_us = self._sent_us[sequence]
            for begin_us, end_us in self._stalls:
                if begin_us - usual_us <= sent_us <= end_us + self._interval_us:
                    self._state[sequence] = _VOID
            if not link_up:
                self._state[sequence] = _VOID

    def reading(self, start_us: int, span_us: int, codec: int, buffer_us: int) -> dict:
        """Return the reading by record keys, without TARGET; start_us is monotonic. To be called after close()."""
        pattern, delays, late = self._pattern(buffer_us)
        void = self._sent - len(pattern)
        reading: dict = {
            record.START_US: start_us,
            record.SPAN_US: span_us,
            record.SENT: self._sent,
            record.ANSWERED: len(delays),
            record.SELF_DELAYED: void,
            record.STALL_US: self._stall_us,
            record.LATE: late,
            record.DUPLICATE: self._duplicate,
            record.REORDERED: self._reordered,
            record.MALFORMED: self.malformed,
        }
        if self._codes:
            reading[record.CODES] = [[code, self._codes[code]] for code in sorted(self._codes)]
        if pattern:
            burst_r_milli = quality.burst_r_milli(pattern)
            reading[record.BURST] = quality.bursts(pattern, self._interval_us // 1000)
            reading[record.BURST_R_MILLI] = burst_r_milli
        if delays:
            reading[record.RTT_US] = quality.summary(delays)
            reading[record.PDV_US] = quality.pdv(delays)
            reading[record.JITTER_US] = self._jitter.value()
            bad = len(pattern) - len(delays) + late
            reading[record.R_CENTI], reading[record.MOS_MILLI] = emodel.call_quality(
                codec, delays[0] // 2, buffer_us, self._interval_us, (bad, len(pattern), burst_r_milli),
            )  # fmt: skip
        if self.stateful and not void and not self._foreign_count:
            reading[record.LOST_BY_DIRECTION] = self._lost_by_direction()
        return reading

    def _pattern(self, buffer_us: int) -> tuple[bytearray, list[int], int]:
        """Return (loss pattern of the packets that count, delays ascending, how many of them late)."""
        delays = sorted([self._rtt_us[i] for i in range(self._sent) if self._state[i] == _ANSWERED])
        latest_us = delays[0] + buffer_us if delays else 0
        if len(delays) == self._sent and (not delays or delays[-1] <= latest_us):
            return bytearray(self._sent), delays, 0
        pattern = bytearray()
        late = 0
        for i in range(self._sent):
            state = self._state[i]
            if state == _ANSWERED and self._rtt_us[i] > latest_us:
                late += 1
                pattern.append(1)
            elif state != _VOID:
                pattern.append(state != _ANSWERED)
        return pattern, delays, late

    def _lost_by_direction(self) -> list[int]:
        """Return [forward, backward] up to the last reply: what the reflector did not count, what did not come back.

        What was lost after the last reply belongs to neither.
        """
        numbers = self._reflector_highest + 1
        came = sum([_ones(octet) for octet in self._reflected])
        return [max(0, self._highest + 1 - numbers), numbers - came]


def _ones(octet: int) -> int:
    count = 0
    while octet:
        octet &= octet - 1
        count += 1
    return count
