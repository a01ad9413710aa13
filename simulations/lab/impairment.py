"""What one direction of a link does to packets, as a value with one text form, and when it changes.

An `Impairment` says delay, loss, rate and so on for ONE direction. Its text form is the words that the link emulator,
the TAP wire's control socket, the virtual board's topology and the scenarios all use; it parses and prints:

    delay=10 jitter=2.5 loss=1        10 ms +-2.5 ms uniform, 1 % independent loss
    rate=1000 limit=64000             1000 kbit/s behind a drop-tail queue of 64,000 octets
    ge=1,20,100,0                     Gilbert-Elliott: p, r, loss in the bad state, loss in the good state, all in %
    every=5/100   drop=0,7,12         exact losses: the first 5 of each 100 packets; the packets numbered 0, 7 and 12
    fifo=0                            jitter may reorder (with fifo=1 a packet never overtakes the one before)
    down=1                            nothing passes
    clear                             back to a perfect link; words after it still apply

A `Step` is a change at a time after the schedule's start: `at 12 s down=1`. A schedule is a tuple of steps in time
order, one a line (or separated by `;`).
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple


class LinkError(ValueError):
    """An impairment, schedule or log request that cannot be honoured; the message says what, where, what to try."""


@dataclass(frozen=True, slots=True)
class Impairment:
    """One direction of a link. The default is perfect: no delay, no loss, endless rate.

    `delay_ms` +- `jitter_ms` is uniform, never below 0. `rate_kbps` 0 means endless, `limit_bytes` 0 an endless queue.
    `ge` is (p, r, h, k) in %: good to bad, bad to good, loss while bad, loss while good.
    `drop` and `every` number packets from 0 at the moment they are set; `every` (5, 100) drops the first 5 of each 100.
    """

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss_pct: float = 0.0
    ge: tuple[float, float, float, float] | None = None
    drop: frozenset[int] = frozenset()
    every: tuple[int, int] | None = None
    dup_pct: float = 0.0
    rate_kbps: float = 0.0
    limit_bytes: int = 0
    fifo: bool = True
    down: bool = False

    @classmethod
    def parse(cls, text: str) -> "Impairment":
        """The impairment that `text` describes, from a perfect link."""
        return cls().changed(parse_changes(text))

    def changed(self, changes: Mapping[str, Any]) -> "Impairment":
        """A copy with the named fields changed and checked. Raises LinkError for an unknown field or a bad value."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in changes.items():
            if name not in _CHECKS:
                raise LinkError(f"unknown impairment {name!r}; try one of {', '.join(_CHECKS)}")
            try:
                values[name] = _CHECKS[name](value)
            except (TypeError, ValueError) as problem:
                raise LinkError(f"bad value {value!r} for {name}: {problem}") from None
        return Impairment(**values)

    def __str__(self) -> str:
        """The text form: only what differs from a perfect link, `clear` when nothing does."""
        perfect = Impairment()
        words = [
            f"{word}={_print(getattr(self, name))}"
            for word, name in WORDS.items()
            if getattr(self, name) != getattr(perfect, name)
        ]
        return " ".join(words) or "clear"


class Step(NamedTuple):
    """A change of the link `at_us` microseconds after its schedule starts; `changes` are fields of Impairment."""

    at_us: int
    changes: dict[str, Any]

    def __str__(self) -> str:
        words = " ".join(f"{_WORD_OF[name]}={_print(value)}" for name, value in self.changes.items())
        if self.at_us % 1000:
            return f"at {self.at_us} us {words}"
        return f"at {_print(self.at_us / 1_000_000)} s {words}"


# The word of the text form for each field.
WORDS = {
    "delay": "delay_ms",
    "jitter": "jitter_ms",
    "loss": "loss_pct",
    "ge": "ge",
    "drop": "drop",
    "every": "every",
    "dup": "dup_pct",
    "rate": "rate_kbps",
    "limit": "limit_bytes",
    "fifo": "fifo",
    "down": "down",
}
_WORD_OF = {name: word for word, name in WORDS.items()}


def parse_changes(text: str) -> dict[str, Any]:
    """`delay=10 down=1` as {"delay_ms": 10.0, "down": True}. Raises LinkError naming the word that is wrong."""
    changes: dict[str, Any] = {}
    for word in text.split():
        if word == "clear":
            changes = {field.name: field.default for field in fields(Impairment)}
            continue
        key, equals, value = word.partition("=")
        if not equals or key not in WORDS:
            raise LinkError(f"unknown word {word!r} in {text!r}; try clear or KEY=VALUE with {', '.join(WORDS)}")
        name = WORDS[key]
        try:
            changes[name] = _CHECKS[name](_READ[name](value))
        except ValueError as problem:
            raise LinkError(f"bad value in {word!r}: {problem}") from None
    return changes


_AT = re.compile(r"at\s+(\d+(?:\.\d+)?)\s*(us|ms|s)\s+(\S.*)")
_UNIT_US = {"us": 1, "ms": 1_000, "s": 1_000_000}


def parse_schedule(text: str) -> tuple[Step, ...]:
    """The steps of a schedule, one a line or separated by `;`, in time order. Blank lines and # comments are skipped.

    Raises LinkError naming the line that is wrong.
    """
    steps = []
    for line in re.split(r"[;\n]", text):
        words = line.partition("#")[0].strip()
        if not words:
            continue
        match = _AT.fullmatch(words)
        if match is None:
            raise LinkError(f"bad schedule line {words!r}; try: at 12 s down=1")
        steps.append(Step(round(float(match[1]) * _UNIT_US[match[2]]), parse_changes(match[3])))
    return tuple(sorted(steps, key=lambda step: step.at_us))


def print_schedule(steps: Iterable[Step]) -> str:
    """The text form of a schedule, one step a line."""
    return "\n".join(str(step) for step in steps)


def _amount(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number) or number < 0:
        raise ValueError("wanted a number of 0 or more")
    return number


def _percent(value: Any) -> float:
    number = _amount(value)
    if number > 100:
        raise ValueError("wanted a percentage of 0 to 100")
    return number


def _whole(value: Any) -> int:
    number = int(value)
    if number < 0 or number != float(value):
        raise ValueError("wanted a whole number of 0 or more")
    return number


def _flag(value: Any) -> bool:
    if value not in (0, 1):
        raise ValueError("wanted 0 or 1")
    return bool(value)


def _gilbert_elliott(value: Any) -> tuple[float, float, float, float] | None:
    if value is None:
        return None
    numbers = tuple(_percent(each) for each in value)
    if len(numbers) != 4:
        raise ValueError("wanted p,r,h,k in %, four numbers")
    return numbers


def _numbers(value: Any) -> frozenset[int]:
    return frozenset(_whole(each) for each in value)


def _pattern(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    count, period = (_whole(each) for each in value)
    if not period or count > period:
        raise ValueError("wanted COUNT/PERIOD with 0 <= COUNT <= PERIOD and PERIOD above 0")
    return count, period


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "delay_ms": _amount,
    "jitter_ms": _amount,
    "loss_pct": _percent,
    "ge": _gilbert_elliott,
    "drop": _numbers,
    "every": _pattern,
    "dup_pct": _percent,
    "rate_kbps": _amount,
    "limit_bytes": _whole,
    "fifo": _flag,
    "down": _flag,
}


def _listed(text: str) -> list[str] | None:
    return None if text == "none" else text.split(",")


# How each field is read from its text before it is checked.
_READ: dict[str, Callable[[str], Any]] = dict.fromkeys(_CHECKS, str) | {
    "ge": _listed,
    "drop": lambda text: _listed(text) or (),
    "every": lambda text: None if text == "none" else text.split("/"),
    "fifo": int,
    "down": int,
}


def _print(value: Any) -> str:
    if value is None or value == frozenset():
        return "none"
    if isinstance(value, frozenset):
        return ",".join(str(number) for number in sorted(value))
    if isinstance(value, tuple):
        return ("/" if len(value) == 2 else ",").join(_print(each) for each in value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(int(value) if isinstance(value, bool) else value)
