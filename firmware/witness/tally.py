"""What was measured and what happened since the last batch, held small, and its turning into a body.

The rule of time: a batch covers [start_us, end_us) and holds every sample that was *sent* in it, each with its fate
known. So a batch ends where the oldest sample that is still in flight was sent, at the latest now; what was sent later
waits for the next one, which begins where this one ends. Nothing is counted twice, nothing falls between.

A single-shot target has one reading a batch, over the whole of it; each of its samples is kept as the time it was sent
(milliseconds since start_us) with its fate in one word, and its round trip in another: 8 octets. The reading says when
each sample was sent only where the counts don't say enough: where answered and lost ones are mixed, where a reply was a
wrong one, and in the first batch after a change. A window's reading comes ready from its probe and is never split: a
batch that would end inside a window ends where the window began.
"""

from array import array
from collections import namedtuple

from linewitness_wire import codes, record

SPAN_MAX_US = record.SAMPLE_MAX_US  # a sample's place in its reading has 14 bits
BODY_GOAL_OCTETS = 2_000  # a batch is ended earlier rather than let it become larger than 2,400 octets in all
SAMPLES_MAX = 1_500  # of all targets together: 12 KB; the oldest batch time goes first
EVENTS_MAX = 64
READING_OCTETS = 48  # what a reading takes beside its samples, about

Batch = namedtuple("Batch", ("start_us", "end_us", "body", "quiet"))
"""What goes into one batch; quiet: no event, no sample that was not answered, no call-quality window with a loss, but
for what the witness itself spoilt."""


class Tally:
    """Samples and events of the current batch. now_us: the clock's; targets: how many the plan has."""

    def __init__(self, now_us, targets: int, start_us: int) -> None:
        self._now_us = now_us
        self.start_us = start_us
        self._events: "list[list]" = []
        self._events_lost = 0
        self._samples_lost = 0
        self.begin_plan(targets)

    def begin_plan(self, targets: int) -> None:
        """Make room for the targets of a plan; what the one before still had is dropped, events stay."""
        self._words = [array("I") for _ in range(targets)]  # ms since start_us << 2 | fate, in the order of sending
        self._rtts_us = [array("I") for _ in range(targets)]  # 0 where there is none
        self._codes: "dict[int, list[tuple[int, int]]]" = {}  # by target: (ms since start_us, code)
        self._in_flight_us: "list[int | None]" = [None] * targets
        self._windows: "list[dict]" = []  # readings with an absolute START_US
        self._fates = bytearray(b"\xff" * targets)  # of the last sample of the batch before that was a measurement
        self._last_fates = bytearray(b"\xff" * targets)  # ... of all
        self._mixed = bytearray(targets)  # whether the samples of the current batch have to be told one by one

    # --- taking in ---

    def sending(self, target: int) -> None:
        """A probe of this target is about to send: the batch can't end after now before it is done."""
        self._in_flight_us[target] = self._now_us()

    def given_up(self, target: int) -> None:
        """The probe of this target ended without a sample or a reading (its task was stopped)."""
        self._in_flight_us[target] = None

    def add(self, target: int, sample) -> None:
        """Take a Sample (fate, sent_us, rtt_us, code); the samples of a target come in the order of sending."""
        self._in_flight_us[target] = None
        at_ms = (sample.sent_us - self.start_us) // 1000
        self._words[target].append(at_ms << 2 | sample.fate)
        if sample.fate != codes.FATE_VOID:
            if sample.fate != self._last_fates[target] or sample.fate == codes.FATE_WRONG:
                self._mixed[target] = 1
            self._last_fates[target] = sample.fate
        self._rtts_us[target].append(sample.rtt_us or 0)
        if sample.code is not None:
            self._codes.setdefault(target, []).append((at_ms, sample.code))

    def add_window(self, target: int, reading: dict) -> None:
        """Take the reading of a call-quality window, without TARGET and with an absolute START_US."""
        self._in_flight_us[target] = None
        reading[record.TARGET] = target
        self._windows.append(reading)

    def event(self, kind: int, *details) -> None:
        """Take an event that happens now. Past EVENTS_MAX in a batch they are only counted."""
        if len(self._events) >= EVENTS_MAX:
            self._events_lost += 1
        else:
            self._events.append([kind, self._now_us()] + list(details))

    @property
    def samples(self) -> int:
        return sum([len(words) for words in self._words])

    @property
    def is_full(self) -> bool:
        """Whether a batch should be made early."""
        return self._octets(SPAN_MAX_US // 1000) > BODY_GOAL_OCTETS

    # --- giving out ---

    def close(self, more_readings=None) -> "Batch | None":
        """End the batch and begin the next. None where not even a millisecond of it is decided.

        more_readings(start_us, end_us, readings) completes the readings and returns a list of further ones.
        """
        end_us = self._decided_until()
        span_ms = (end_us - self.start_us) // 1000
        span_ms = min(span_ms, SPAN_MAX_US // 1000)
        while span_ms > 1000 and self._octets(span_ms) > BODY_GOAL_OCTETS:
            span_ms = span_ms * 3 // 4
        span_ms = self._beside_windows(span_ms)
        if span_ms <= 0:
            return None
        start_us = self.start_us
        end_us = start_us + span_ms * 1000
        readings = []
        quiet = True
        for target in range(len(self._words)):
            if len(self._words[target]) and self._words[target][0] >> 2 < span_ms:
                readings.append(self._cut(target, span_ms))
                quiet = quiet and _is_quiet(readings[-1])
            elif len(self._words[target]):
                self._shift(target, 0, span_ms)
        for reading in self._take_windows(start_us, end_us):
            quiet = quiet and _is_quiet(reading)
            readings.append(reading)
        if more_readings is not None:
            readings.extend(more_readings(start_us, end_us, readings))
        events = self._take_events(start_us, end_us)
        self.start_us = end_us
        return Batch(start_us, end_us, record.Body(readings, events), quiet and not events)

    def thin(self) -> None:
        """Forget the oldest samples when batches can't be made (flash full or broken); the loss is an event."""
        while self.samples > SAMPLES_MAX:
            longest = max(self._words, key=len)
            target = self._words.index(longest)
            keep = len(longest) * 3 // 4
            self._samples_lost += len(longest) - keep
            self._words[target] = longest[len(longest) - keep :]
            self._rtts_us[target] = self._rtts_us[target][len(longest) - keep :]
            first_ms = self._words[target][0] >> 2
            self._keep_codes(target, first_ms, 0)

    def _decided_until(self) -> int:
        end_us = self._now_us()
        for in_flight_us in self._in_flight_us:
            if in_flight_us is not None:
                end_us = min(end_us, in_flight_us)
        return end_us

    def _beside_windows(self, span_ms: int) -> int:
        """The longest span up to span_ms that ends inside no window that is done: its reading has to be whole."""
        inside = True
        while inside:
            inside = False
            end_us = self.start_us + span_ms * 1000
            for reading in self._windows:
                if reading[record.START_US] < end_us < reading[record.START_US] + reading[record.SPAN_US]:
                    span_ms = (reading[record.START_US] - self.start_us) // 1000
                    inside = True
                    break
        return span_ms

    def _octets(self, span_ms: int) -> int:
        """About how large a body up to span_ms would be."""
        octets = (len(self._windows) * 2 + 2) * READING_OCTETS + len(self._events) * 24
        for words, mixed in zip(self._words, self._mixed):
            n = self._count(words, span_ms)
            octets += READING_OCTETS + 2 * n * mixed if n else 0
        return octets

    def _count(self, words: array, span_ms: int) -> int:
        n = len(words)
        while n and words[n - 1] >> 2 >= span_ms:
            n -= 1
        return n

    def _cut(self, target: int, span_ms: int) -> dict:
        words, rtts = self._words[target], self._rtts_us[target]
        n = self._count(words, span_ms)
        void = 0
        replied = array("I")
        for i in range(n):
            fate = words[i] & 3
            if fate == codes.FATE_VOID:
                void += 1
            elif fate != codes.FATE_LOST:
                replied.append(rtts[i])
        answered = len(replied)
        mixed, self._fates[target] = _mixed(words[:n], self._fates[target])
        reading: dict = {
            record.TARGET: target, record.START_US: 0, record.SPAN_US: span_ms * 1000,
            record.SENT: n, record.ANSWERED: answered,
        }  # fmt: skip
        if mixed:
            reading[record.SAMPLES] = b"".join([record.pack_sample(words[i] & 3, (words[i] >> 2) * 1000)
                                                for i in range(n)])  # fmt: skip
        if answered:
            reading[record.RTT_US] = spread(replied)
        if void:
            reading[record.SELF_DELAYED] = void
        counts: "dict[int, int]" = {}
        for at_ms, code in self._codes.get(target, ()):
            if at_ms < span_ms:
                counts[code] = counts.get(code, 0) + 1
        if counts:
            reading[record.CODES] = [[code, counts[code]] for code in sorted(counts)]
        self._shift(target, n, span_ms)
        return reading

    def _shift(self, target: int, n: int, span_ms: int) -> None:
        """Drop the first n samples; what stays counts from span_ms later."""
        self._words[target] = array("I", [word - (span_ms << 2) for word in self._words[target][n:]])
        self._mixed[target] = _mixed(self._words[target], self._fates[target])[0]
        self._rtts_us[target] = self._rtts_us[target][n:]
        self._keep_codes(target, span_ms, span_ms)

    def _keep_codes(self, target: int, from_ms: int, earlier_ms: int) -> None:
        """Keep a target's codes from from_ms on; what stays counts from earlier_ms later."""
        kept = [(ms - earlier_ms, code) for ms, code in self._codes.pop(target, ()) if ms >= from_ms]
        if kept:
            self._codes[target] = kept

    def _take_windows(self, start_us: int, end_us: int) -> list:
        taken = []
        for reading in self._windows:
            if reading[record.START_US] + reading[record.SPAN_US] <= end_us:
                reading[record.START_US] -= start_us
                taken.append(reading)
        self._windows = [reading for reading in self._windows if reading not in taken]
        return taken

    def _take_events(self, start_us: int, end_us: int) -> list:
        taken = [event for event in self._events if event[1] < end_us]
        self._events = [event for event in self._events if event[1] >= end_us]
        for event in taken:
            event[1] -= start_us
        if self._events_lost or self._samples_lost:
            lost = self._events_lost + self._samples_lost
            taken.append([codes.EVENT_FAULT, end_us - start_us - 1, codes.FAULT_MEMORY, lost])
            self._events_lost = self._samples_lost = 0
        return taken


def _mixed(words: array, before: int) -> tuple:
    """Whether counts don't say enough of these samples, and the fate of the last one that was a measurement."""
    mixed = False
    for word in words:
        fate = word & 3
        if fate != codes.FATE_VOID:
            mixed = mixed or fate != before or fate == codes.FATE_WRONG
            before = fate
    return mixed, before


def _is_quiet(reading: dict) -> bool:
    """Whether all that was measured got the wanted reply."""
    measured = reading[record.SENT] - reading.get(record.SELF_DELAYED, 0)
    wrong = any(reading[record.SAMPLES][i] >> 6 == codes.FATE_WRONG
                for i in range(0, len(reading.get(record.SAMPLES, b"")), 2))  # fmt: skip
    return reading[record.ANSWERED] == measured and not wrong


def spread(values_us: array) -> list:
    """Return [min, mean, p95, max]: the mean rounded down, p95 by nearest rank. Requires one value."""
    ordered = sorted(values_us)
    n = len(ordered)
    return [ordered[0], sum(ordered) // n, ordered[(95 * n + 99) // 100 - 1], ordered[-1]]
