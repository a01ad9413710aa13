"""The E-model: rating factor R and MOS of a narrowband call from its impairments (ITU-T G.107, 06/2015).

    R = Ro - Is - Id - Ie_eff + A            clause 7.1
    MOS = 1 + 0.035 R + R (R - 60) (100 - R) 7e-6        Annex B

Every input of the Recommendation is a parameter, under its symbol, with its default and permitted range. The witness
computes the same in integers for the inputs that it uses (firmware/witness/quality.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, cos, erf, exp, log2, log10, pi, sqrt


@dataclass(frozen=True, slots=True)
class Parameter:
    """One input of the E-model: symbol, unit, default and permitted range (G.107 table 2)."""

    symbol: str
    name: str
    unit: str
    default: float
    low: float | None
    high: float | None

    def permits(self, value: float) -> bool:
        """Return whether value lies in the permitted range (Nfor has none)."""
        return self.low is None or self.high is None or self.low <= value <= self.high


PARAMETERS = tuple(
    Parameter(*row)
    for row in (
        ("SLR", "send loudness rating", "dB", 8, 0, 18),
        ("RLR", "receive loudness rating", "dB", 2, -5, 14),
        ("STMR", "sidetone masking rating", "dB", 15, 10, 20),
        ("LSTR", "listener sidetone rating", "dB", 18, 13, 23),
        ("Ds", "D-value of the telephone, send side", "", 3, -3, 3),
        ("Dr", "D-value of the telephone, receive side", "", 3, -3, 3),
        ("TELR", "talker echo loudness rating", "dB", 65, 5, 65),
        ("WEPL", "weighted echo path loss", "dB", 110, 5, 110),
        ("T", "mean one-way delay of the echo path", "ms", 0, 0, 500),
        ("Tr", "round-trip delay in a 4-wire loop", "ms", 0, 0, 1000),
        ("Ta", "absolute delay in echo-free connections", "ms", 0, 0, 500),
        ("sT", "delay sensitivity", "", 1, 0.4, 1),
        ("mT", "minimum perceivable delay", "ms", 100, 20, 150),
        ("qdu", "number of quantization distortion units", "", 1, 1, 14),
        ("Ie", "equipment impairment factor", "", 0, 0, 40),
        ("Bpl", "packet-loss robustness factor", "", 4.3, 1, 40),
        ("Ppl", "random packet-loss probability", "%", 0, 0, 20),
        ("BurstR", "burst ratio", "", 1, 1, 8),
        ("Nc", "circuit noise referred to the 0 dBr point", "dBm0p", -70, -80, -40),
        ("Nfor", "noise floor at the receive side", "dBmp", -64, None, None),
        ("Ps", "room noise at the send side", "dB(A)", 35, 35, 85),
        ("Pr", "room noise at the receive side", "dB(A)", 35, 35, 85),
        ("A", "advantage factor", "", 0, 0, 20),
    )
)
"""Bpl is permitted from 1, as in the editions before 2014; later ones ask for 4.3 at least."""

DEFAULTS = {p.symbol: p.default for p in PARAMETERS}


@dataclass(frozen=True, slots=True)
class Rating:
    """What the E-model says: the terms of R, R itself, MOS-CQE, and the shares of users (Annex B)."""

    Ro: float
    Is: float
    Idte: float
    Idle: float
    Idd: float
    Id: float
    Ie_eff: float
    R: float
    MOS: float
    GoB_percent: float
    PoW_percent: float


def rate(**inputs: float) -> Rating:
    """Return the Rating for inputs given by symbol, the others at their defaults. Raises KeyError for another name."""
    for symbol in inputs:
        if symbol not in DEFAULTS:
            raise KeyError(symbol)
    p = {**DEFAULTS, **inputs}
    no, ro = _noise(p)
    ist, is_ = _simultaneous(p, no, ro)
    idte, idle, idd, id_ = _delay(p, no, ro, ist)
    ie_eff = p["Ie"] + (95 - p["Ie"]) * p["Ppl"] / (p["Ppl"] / p["BurstR"] + p["Bpl"])
    r = ro - is_ - id_ - ie_eff + p["A"]
    return Rating(
        ro, is_, idte, idle, idd, id_, ie_eff, r, mos_of(r), 100 * _phi((r - 60) / 16), 100 * _phi((45 - r) / 16)
    )


def _noise(p: dict[str, float]) -> tuple[float, float]:
    """Return (No, Ro): the sum of noise powers and the basic signal-to-noise ratio (clause 7.2)."""
    olr = p["SLR"] + p["RLR"]
    nos = p["Ps"] - p["SLR"] - p["Ds"] - 100 + 0.004 * (p["Ps"] - olr - p["Ds"] - 14) ** 2
    pre = p["Pr"] + 10 * log10(1 + 10 ** ((10 - p["LSTR"]) / 10))
    nor = p["RLR"] - 121 + pre + 0.008 * (pre - 35) ** 2
    nfo = p["Nfor"] + p["RLR"]
    no = 10 * log10(sum(10 ** (n / 10) for n in (p["Nc"], nos, nor, nfo)))
    return no, 15 - 1.5 * (p["SLR"] + no)


def _simultaneous(p: dict[str, float], no: float, ro: float) -> tuple[float, float]:
    """Return (Ist, Is): impairments that come with the speech (clause 7.3)."""
    olr = p["SLR"] + p["RLR"]
    xolr = olr + 0.2 * (64 + no - p["RLR"])
    iolr = 20 * ((1 + (xolr / 8) ** 8) ** (1 / 8) - xolr / 8)
    stmro = -10 * log10(10 ** (-p["STMR"] / 10) + exp(-p["T"] / 4) * 10 ** (-p["TELR"] / 10))
    ist = (
        12 * (1 + ((stmro - 13) / 6) ** 8) ** (1 / 8)
        - 28 * (1 + ((stmro + 1) / 19.4) ** 35) ** (1 / 35)
        - 13 * (1 + ((stmro - 3) / 33) ** 13) ** (1 / 13)
        + 29
    )
    q = 37 - 15 * log10(p["qdu"])
    g = 1.07 + 0.258 * q + 0.0602 * q**2
    iq = 15 * log10(1 + 10 ** ((ro - 100) / 15 + 46 / 8.4 - g / 9) + 10 ** (46 / 30 - g / 40))
    return ist, iolr + ist + iq


def _delay(p: dict[str, float], no: float, ro: float, ist: float) -> tuple[float, float, float, float]:
    """Return (Idte, Idle, Idd, Id): talker echo, listener echo, pure delay, and their sum (clause 7.4)."""
    t, ta = p["T"], p["Ta"]
    terv = p["TELR"] - 40 * log10((1 + t / 10) / (1 + t / 150)) + 6 * exp(-0.3 * t**2)
    if p["STMR"] < 9:
        terv += ist / 2
    roe = -1.5 * (no - p["RLR"])
    re = 80 + 2.5 * (terv - 14)
    idte = 0.0
    if t >= 1:
        idte = ((roe - re) / 2 + sqrt((roe - re) ** 2 / 4 + 100) - 1) * (1 - exp(-t))
    if p["STMR"] > 20:
        idte = sqrt(idte**2 + ist**2)
    rle = 10.5 * (p["WEPL"] + 7) * (p["Tr"] + 1) ** -0.25
    idle = (ro - rle) / 2 + sqrt((ro - rle) ** 2 / 4 + 169)
    idd = 0.0
    if ta > p["mT"]:
        x = log2(ta / p["mT"])
        s = 6 * p["sT"]
        idd = 25 * ((1 + x**s) ** (1 / s) - 3 * (1 + (x / 3) ** s) ** (1 / s) + 2)
    return idte, idle, idd, idte + idle + idd


def mos_of(r: float) -> float:
    """Return MOS for R (Annex B): 1 up to R = 0, 4.5 from R = 100, the cubic between (0.989 at its least, R = 3.2)."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6


def r_of(mos: float) -> float:
    """Return R for MOS in [1, 4.5] (Appendix I). Raises ValueError outside."""
    if not 1 <= mos <= 4.5:
        raise ValueError(f"MOS: wanted 1..4.5, got {mos}")
    h = atan2(15 * sqrt(-903522 + 1113960 * mos - 202500 * mos**2), 18566 - 6750 * mos) / 3
    return 20 / 3 * (8 - sqrt(226) * cos(h + pi / 3))


def _phi(x: float) -> float:
    """Return the standard normal distribution function."""
    return 0.5 * (1 + erf(x / sqrt(2)))
