"""What a benchmark ran on, in one line: its figures mean nothing without it."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def machine() -> str:
    """Return CPU model, cores, Python's version, and how many processes others keep busy (the load of a minute)."""
    busy = os.getloadavg()[0]
    return f"{_cpu_model()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {busy:.1f}"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
