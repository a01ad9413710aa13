"""Two worlds' statistics side by side, to see whether ours are easier than one given to us.

Rows: share of sites and rows that have a column, levels and tails of the healthy noise, rounds with bad media, gaps in
the rows, and faults per site and day, by side and by whether calls were hurt.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from simulations.branch import world
from simulations.branch.fields import COLUMN

LEVELS = (
    "gw_rtt", "gw_jit", "h1_rtt", "a1_rtt", "p_rtt", "p_sip_ms", "m_rtt", "m_jit", "m_mos", "q_mos", "x_jit",
    "dns_r_ms", "dns_a_ms", "r_util_d", "r_cpu", "c_mos", "c_pdd",
)  # fmt: skip
SHARES = ("gw_tcp", "dns_r_ok", "dns_a_ok", "a1_tcp", "p_tcp", "p_sip", "e2_sip", "q_sip", "v6_a", "oc_ok", "c_ok")
LOSSES = ("gw_loss", "a1_loss", "m_loss_u", "m_loss_d", "q_loss", "x_loss_u", "x_loss_d")
NOISY_LOSS = 0.02
BAD_MOS = 3.6


def statistics(path: Path) -> dict[str, float]:
    """Return a world's statistics by name."""
    opened = world.open_world(path)
    parts = [(site, rows) for site, rows in opened.each() if len(rows)]
    rows = np.concatenate([part for _, part in parts])
    site_days = len(opened.sites) * opened.days
    out: dict[str, float] = {}
    for name in ("rssi", "r_up_s", "h1_rtt", "p_rtt", "oc_ok"):
        sites = [(~np.isnan(part[:, COLUMN[name]])).any() for _, part in parts]
        out[f"sites with {name}"] = float(np.mean(sites))
    for name in ("path", "phones_link"):
        out[f"sites told {name}"] = float(np.mean([site[name] is not None for site in opened.sites]))
    for name in LEVELS:
        column = rows[:, COLUMN[name]]
        column = column[~np.isnan(column)]
        for quantile in (0.5, 0.05, 0.95) if len(column) else ():
            out[f"{name} q{quantile:g}"] = float(np.quantile(column, quantile))
    for name in SHARES:
        column = rows[:, COLUMN[name]]
        out[f"{name} not whole"] = float((column[~np.isnan(column)] < 1).mean())
    for name in LOSSES:
        out[f"{name} > 2 %"] = float((rows[:, COLUMN[name]] > NOISY_LOSS).mean())
    for name in ("m_mos", "q_mos"):
        out[f"{name} < 3.6"] = float((rows[:, COLUMN[name]] < BAD_MOS).mean())
    out["rows missing"] = 1 - len(rows) / (site_days * 86400 / opened.step_s)
    gaps = sum(int((np.diff(part[:, COLUMN["t_rx"]]) > 2.5 * opened.step_s).sum()) for _, part in parts)
    out["gaps per site-day"] = gaps / site_days
    return out | faults(path, site_days)


def faults(path: Path, site_days: float) -> dict[str, float]:
    """Return faults per site-day by side, and what share of them hurt calls, look alike or are shared."""
    lines = world.open_truth(path).faults
    hurt = [line for line in lines if line["affects_calls"]]
    counts = Counter(line["side"].partition("_")[0] for line in hurt)
    out = {
        f"hurt by {side} per site-day": counts[side] / site_days
        for side in ("customer", "access", "transit", "provider", "carrier")
    }
    out["truth lines per site-day"] = len(lines) / site_days
    if lines and hurt:
        out["share that hurts calls"] = len(hurt) / len(lines)
        out["share that looks alike"] = sum(bool(line["ambiguous"]) for line in hurt) / len(hurt)
        out["median minutes of hurt"] = (
            float(np.median([line["impact_end"] - line["impact_start"] for line in hurt])) / 60
        )
    return out


def table(one: Path, other: Path) -> str:
    """Return both worlds' statistics as a table."""
    first, second = statistics(one), statistics(other)
    lines = [f"{'':32}{one.name:>14}{other.name:>14}"]
    for name in dict.fromkeys([*first, *second]):
        values = (f"{side[name]:14.4g}" if name in side else f"{'-':>14}" for side in (first, second))
        lines.append(f"{name:32}" + "".join(values))
    return "\n".join(lines)
