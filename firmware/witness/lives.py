"""How often in a row the firmware has crashed, over resets; after SAFE_AFTER crashes it runs in safe mode.

A crash is a reset by the watchdog, or a program that ended before it ran at all (main.py). Ten minutes of running,
power that comes back, a command of the host or a new flashing begin the count anew. Safe mode measures nothing: link,
clock, journal and uplink alone, so that the witness still says signed that it crashes, and still takes a new plan.
One octet in a file, so that it costs two small writes a boot. Whoever resets on purpose says so before (expect): a Pico
calls every reset by its program the watchdog's. A program that could not begin has counted that already.
"""

import os

from linewitness_wire import codes

PATH = "/lives"
SAFE_AFTER = 3
GOOD_LIFE_US = 600_000_000
OURS = 0x80  # in the file, beside the crashes: the next reset is the program's own and counts for nothing more
MOST = 0x7F


def begin(cause: int) -> int:
    """Count this start, whose reset cause is codes.RESET_*; return the crashes in a row before it."""
    before = _read()
    crashes = before & MOST
    if cause in (codes.RESET_POWER, codes.RESET_BROWNOUT):
        crashes = 0
    elif cause == codes.RESET_WATCHDOG and not before & OURS:
        crashes = min(crashes + 1, MOST)
    if crashes != before:
        _write(crashes)
    return crashes


def crashed() -> None:
    """The program could not even begin, and resets the board."""
    _write(OURS | min(_read() + 1, MOST))


def expect() -> None:
    """The reset that follows is on purpose, and no crash."""
    _write(OURS)


def forgive() -> None:
    """What follows is another program, another plan, or the end of a good life."""
    if _read():
        _write(0)


def _read() -> int:
    try:
        with open(PATH, "rb") as file:
            octets = file.read(1)
    except OSError:
        return 0  # none yet
    return octets[0] if octets else 0


def _write(crashes: int) -> None:
    try:
        if crashes:
            with open(PATH, "wb") as file:
                file.write(bytes((crashes,)))
        else:
            os.remove(PATH)
    except OSError as error:
        # A full or broken file system can't keep it: no reason to stop here.
        print("lives: %s" % error)
