"""Round-trip times as other people's tools measure them, to lay beside a witness's on the same link.

Each function runs one tool to its end and returns the round-trip time in microseconds of each packet sent, in the order
of sending; a packet without an answer is None. The tools print 3 significant digits (fping) or nanoseconds (irtt).
"""

import json
import re
import subprocess
from collections.abc import Sequence
from typing import Any

from simulations.lab.tools import reason_without

Rtts = list[int | None]


class BaselineError(RuntimeError):
    """The tool is missing or failed; the message carries its own words."""


def fping(
    host: str,
    *,
    count: int,
    period_ms: int = 20,
    timeout_ms: int = 3000,
    payload_octets: int = 56,
    prefix: Sequence[str] = (),
) -> Rtts:
    """ICMP echo by fping. The timeout is explicit: fping's default would call a bloated link lossy."""
    options = ["-c", count, "-p", period_ms, "-t", timeout_ms, "-b", payload_octets]
    # Exit code 1 says that some packets were lost, which is a result.
    printed = _run([*prefix, "fping", *map(str, options), host], "fping", ok_codes=(0, 1))
    return parse_fping(printed, count)


def parse_fping(printed: str, count: int) -> Rtts:
    """The `[sequence], ... ms` lines of `fping -c`."""
    rtts: Rtts = [None] * count
    for sequence, rtt_ms in re.findall(r": \[(\d+)\], \d+ bytes, ([\d.]+) ms", printed):
        rtts[int(sequence)] = round(float(rtt_ms) * 1000)
    return rtts


def irtt(
    address: tuple[str, int],
    *,
    duration_s: float,
    period_ms: int = 20,
    payload_octets: int = 60,
    wait_s: float = 4,
    prefix: Sequence[str] = (),
) -> Rtts:
    """UDP echo by irtt against a simulations.lab.daemons.IrttServer; `wait_s` for stragglers."""
    options = [
        "-i",
        f"{period_ms}ms",
        "-d",
        f"{round(duration_s * 1000)}ms",
        "-l",
        str(payload_octets),
        f"--wait={round(wait_s * 1000)}ms",
    ]
    target = f"{address[0]}:{address[1]}"
    printed = _run([*prefix, "irtt", "client", *options, "-q", "-o", "-", target], "irtt")
    return parse_irtt(json.loads(printed[printed.index("{") : printed.rindex("}") + 1]))


def parse_irtt(result: dict[str, Any]) -> Rtts:
    """The round trips of irtt's JSON, format version 1."""
    return [
        round(trip["delay"]["rtt"] / 1000) if trip["lost"] == "false" else None
        for trip in sorted(result["round_trips"], key=lambda trip: int(trip["seqno"]))
    ]


def _run(arguments: Sequence[str], tool: str, ok_codes: tuple[int, ...] = (0,)) -> str:
    lacking = reason_without(tool)
    if lacking:
        raise BaselineError(lacking)
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode not in ok_codes:
        raise BaselineError(f"{tool} failed: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout
