"""The E-model (ITU-T G.107, 2015) for the inputs that a witness measures, in integers.

    R = R0 - Idd - Ie_eff

R0 is Ro - Is - Idle with every other parameter at its default (echo-free connection, T = Tr = 0, A = 0). Used are the
one-way delay Ta, the codec's Ie and Bpl, the loss Ppl and its BurstR; sT and mT are those of the default class. Good
to 0.001 R against the formulas (7.1 to 7.7), whatever floats the machine has.

Ppl is taken at its word above the 20 % up to which G.107 was fitted, and BurstR not below 1.
"""

from linewitness_wire import codes

R0_MICRO = 93_206_208
FRACTION_BITS = 20  # of the fixed-point numbers here
ONE = 1 << FRACTION_BITS
MIN_PERCEIVABLE_US = 100_000  # mT

CODECS = {
    codes.CODEC_G711: (0, 43, 0),
    codes.CODEC_G711_PLC: (0, 251, 3_750),
    codes.CODEC_G729A: (11, 190, 5_000),
    codes.CODEC_G723_1: (15, 161, 7_500),
    codes.CODEC_GSM_EFR: (5, 100, 0),
    codes.CODEC_AMR_12_2: (5, 100, 5_000),
}
"""Codec -> (Ie, Bpl x 10, delay in us): all narrowband codecs of ITU-T G.113 Appendix I that have a Bpl; one without
can't be rated once a packet is lost. Delay is look-ahead, concealment included, packetisation not."""


def delay_impairment_micro(delay_us: int) -> int:
    """Return Idd x 1e6 (7.4) of a one-way delay."""
    if delay_us <= MIN_PERCEIVABLE_US:
        return 0
    # 25 ((1 + X^6)^(1/6) - 3 (1 + (X/3)^6)^(1/6) + 2), with the 3 drawn into the root.
    x6 = _log2(delay_us, MIN_PERCEIVABLE_US) ** 6
    one6 = ONE**6
    sum_ = _sixth_root(one6 + x6) - _sixth_root(729 * one6 + x6) + 2 * ONE
    return max(0, 25_000_000 * sum_ >> FRACTION_BITS)


def equipment_impairment_micro(ie: int, bpl_tenths: int, loss_ppm: int, burst_r_milli: int) -> int:
    """Return Ie_eff x 1e6 (7.5): Ie + (95 - Ie) Ppl / (Ppl / BurstR + Bpl)."""
    burst = max(1000, burst_r_milli)
    divisor = 1000 * loss_ppm + 1000 * bpl_tenths * burst
    return 1_000_000 * ie + (95 - ie) * 1_000_000 * loss_ppm * burst // divisor


def rating_micro(delay_us: int, ie: int, bpl_tenths: int, loss_ppm: int, burst_r_milli: int) -> int:
    """Return R x 1e6; it may be negative."""
    impairment = equipment_impairment_micro(ie, bpl_tenths, loss_ppm, burst_r_milli)
    return R0_MICRO - delay_impairment_micro(delay_us) - impairment


def mos_milli(rating: int) -> int:
    """Return MOS-CQE x 1000 (Annex B) of R x 1e6: 1000..4500.

    The cubic dips below 1 for R under 6.5; a MOS does not.
    """
    if rating <= 0:
        return 1000
    if rating >= 100_000_000:
        return 4500
    cubic = 7 * rating * (rating - 60_000_000) * (100_000_000 - rating) // 10**18
    return max(1000, (1_000_000 + 35 * rating // 1000 + cubic + 500) // 1000)


def call_quality(
    codec: int, network_us: int, buffer_us: int, interval_us: int, loss: tuple[int, int, int]
) -> tuple[int, int]:
    """Return (R x 100, MOS x 1000) of a call as measured.

    codec: codes.CODEC_*; network_us: one way; buffer_us: depth of the jitter buffer; interval_us: speech in a packet;
    loss: (bad, packets, BurstR x 1000), late packets being bad.
    """
    ie, bpl_tenths, codec_us = CODECS[codec]
    delay_us = network_us + buffer_us + interval_us + codec_us
    bad, packets, burst_r_milli = loss
    rating = rating_micro(delay_us, ie, bpl_tenths, 1_000_000 * bad // packets, burst_r_milli)
    return (rating + 5_000) // 10_000, mos_milli(rating)


def _log2(numerator: int, denominator: int) -> int:
    """Return log2(numerator / denominator) of numerator >= denominator > 0 as a fixed-point number, rounded down."""
    whole = 0
    while numerator >= denominator << (whole + 1):
        whole += 1
    result = whole << FRACTION_BITS
    # 1 <= mantissa < 2; squaring it doubles its logarithm, whose whole part is the next bit.
    bits = FRACTION_BITS + 10
    mantissa = (numerator << bits) // (denominator << whole)
    for i in range(FRACTION_BITS - 1, -1, -1):
        mantissa = mantissa * mantissa >> bits
        if mantissa >> (bits + 1):
            mantissa >>= 1
            result |= 1 << i
    return result


def _sixth_root(value: int) -> int:
    """Return the whole part of the sixth root of a non-negative integer (Newton's method from above)."""
    if value == 0:
        return 0
    bits = 0
    while value >> bits:
        bits += 8
    root = 1 << (bits // 6 + 1)
    while True:
        nearer = (5 * root + value // root**5) // 6
        if nearer >= root:
            return root
        root = nearer
