"""Decimal numbers of a text with commas, many at a time: some times faster than one by one, and a year has billions.

A number of digits and at most one point is an integer over a power of ten: exact to 15 digits, to one unit in the last
place of a float64 up to 18. Eight digits at a time are added up within one 64-bit word. What else Python's float reads
(signs, exponents, more digits) is left to it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Places = NDArray[np.int64]

COMMA, NEWLINE, POINT, ZERO = b",\n.0"
WORD = 8
MOST_DIGITS = 18
PAD = bytes(2 * WORD)  # before the text, so that the words that end at its first digits lie within
# [n]: the last n octets of a word, of each the four bits that are a digit's value (the first octet is the least).
DIGITS = np.array([0x0F0F0F0F0F0F0F0F >> 8 * (WORD - n) << 8 * (WORD - n) for n in range(WORD + 1)], np.uint64)
POWERS = np.array([float(10**n) for n in range(MOST_DIGITS + 1)])
TENS = np.array([10**n for n in range(MOST_DIGITS + 1)], np.uint64)


def numbers(text: bytes, width: int, line: int) -> NDArray[np.float64]:
    """Return lines of numbers as [lines, width], NaN for an empty field. text: whole lines, each with its newline.

    line: the number of the first one, for errors. ValueError names a line with more or fewer fields, or with no number.
    """
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n")
    octets = np.frombuffer(PAD + text, np.uint8)
    special = np.flatnonzero(octets[len(PAD) :] - np.uint8(ZERO) > 9) + len(PAD)
    kind = octets.take(special)
    separates = (kind == COMMA) | (kind == NEWLINE)
    ends = special[np.flatnonzero(separates)]
    _check_width(octets[ends], width, line)
    starts = np.concatenate(([len(PAD)], ends[:-1] + 1))
    field = np.cumsum(separates)  # of what stands between two separators
    pointed = np.flatnonzero(kind == POINT)
    points = ends.copy()
    points[field.take(pointed)] = special.take(pointed)
    before, after = points - starts, np.maximum(ends - points - 1, 0)
    odd = (before > 2 * WORD) | (after > 2 * WORD) | (before + after > MOST_DIGITS)
    odd |= (before + after == 0) & (ends > starts)
    odd[field.take(np.flatnonzero(~separates & (kind != POINT)))] = True
    twice = np.flatnonzero(np.diff(field.take(pointed)) == 0)
    odd[field.take(pointed.take(twice))] = True
    left = np.flatnonzero(odd)
    before[left] = after[left] = 0
    words: Words = np.ndarray((len(octets) - WORD + 1,), np.uint64, octets, strides=(1,))
    whole = _integers(words, points, before)
    has_part = np.flatnonzero(after)
    length = after.take(has_part)
    values = whole.astype(np.float64)
    part = _integers(words, ends.take(has_part), length)
    values[has_part] = (whole.take(has_part) * TENS.take(length) + part).astype(np.float64) / POWERS.take(length)
    values[np.flatnonzero(starts == ends)] = np.nan
    values[left] = _one_by_one(text, starts[left] - len(PAD), ends[left] - len(PAD), line + left // width)
    return values.reshape(-1, width)


def _one_by_one(text: bytes, starts: Places, ends: Places, lines: Places) -> list[float]:
    read = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        try:
            read.append(float(text[start:end]))
        except ValueError as error:
            raise ValueError(f"line {lines[len(read)]}: {error}") from error
    return read


def _check_width(separators: NDArray[np.uint8], width: int, line: int) -> None:
    last = np.flatnonzero(separators == NEWLINE)
    counts = np.diff(last, prepend=-1)
    wrong = np.flatnonzero(counts != width)
    if len(wrong):
        raise ValueError(f"line {line + int(wrong[0])} has {counts[wrong[0]]} fields, the header {width}")


def _integers(words: Words, ends: Places, lengths: Places) -> Words:
    """Return the numbers that 0 to 16 digits before ends are; words: eight octets from each octet on."""
    values = _eight(words.take(ends - WORD) & DIGITS.take(np.minimum(lengths, WORD)))
    long = np.flatnonzero(lengths > WORD)
    if len(long):
        high = _eight(words[ends[long] - 2 * WORD] & DIGITS[lengths[long] - WORD])
        values[long] += high * np.uint64(10**WORD)
    return values


def _eight(digits: Words) -> Words:
    """Return the number that each word of eight digits is: neighbours become pairs, pairs fours, fours eight."""
    pairs = digits * np.uint64(10) + (digits >> np.uint64(8))
    fours_of = np.uint64(0x000000FF000000FF)
    high = (pairs & fours_of) * np.uint64(100 + (1_000_000 << 32))
    low = ((pairs >> np.uint64(16)) & fours_of) * np.uint64(1 + (10_000 << 32))
    return (high + low) >> np.uint64(32)
