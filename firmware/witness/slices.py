"""Writes to the flash in slices: generators that yield where the loop may run.

An erase stops these CPUs for tens of milliseconds, a page that is programmed for most of one. So a slice has one erase
at most: littlefs erases a block when a file that was closed is appended to (it copies the last block), and one for each
block that a write goes on into. What a folder notes of a file, which may cost more, see journal.
"""

import asyncio
import os

from .frames import check

BLOCK_OCTETS = 4096
BLOCK_ENDS = (4096, 8188, 12_276, 16_368)  # in a file: littlefs begins every block but the first with pointers
PIECE_OCTETS = 512  # at most in a slice


async def paced(slices) -> None:
    """Run slices of work with a pause for the loop after each, in which it hears what has come in, too."""
    try:
        for _ in slices:
            await asyncio.sleep_ms(1)
    finally:
        slices.close()  # a task that is stopped leaves no file open


def at_once(slices) -> None:
    """Run them where no loop runs yet."""
    for _ in slices:
        pass


def blocks_octets(octets: int) -> int:
    """What a file of so many octets takes of the flash."""
    blocks = 0
    while blocks < len(BLOCK_ENDS) and octets > (BLOCK_ENDS[blocks - 1] if blocks else 0):
        blocks += 1
    return BLOCK_OCTETS * (blocks + (octets > BLOCK_ENDS[-1]))


def copied_octets(at: int) -> int:
    """How many octets littlefs copies when a file of `at` octets is appended to: those of its last block."""
    begin = 0
    for end in BLOCK_ENDS:
        if end <= at:
            begin = end
    return at - begin


def write_slices(file, at: int, octets: bytes):
    """Write at the end of a file, which is at `at`; a slice goes no further than its block."""
    view = memoryview(octets)
    done = 0
    while done < len(octets):
        piece = PIECE_OCTETS
        for end in BLOCK_ENDS:
            if end > at + done:
                piece = min(piece, end - at - done)
                break
        file.write(view[done : done + piece])
        done += piece
        yield None


def end_slices(file):
    """Make a file durable that was written. littlefs programs the data that it still holds when it is sought in, and
    what the folder notes when it is flushed."""
    file.seek(0)
    yield None
    file.flush()


def read_checked(path: str) -> "bytes | None":
    """The octets of a file that ends in their check; None where it is missing or torn."""
    try:
        with open(path, "rb") as file:
            octets = file.read()
    except OSError:
        return None
    if len(octets) < 4 or check(octets[:-4]) != octets[-4:]:
        return None
    return octets[:-4]


def replace_slices(path: str, octets: bytes):
    """Put octets into the place of a file at once: a power cut leaves the old or the new."""
    with open(path + ".new", "wb") as file:
        yield None
        yield from write_slices(file, 0, octets)
        yield from end_slices(file)
    yield None
    os.rename(path + ".new", path)
