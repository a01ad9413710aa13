"""Runs before main.py: sets how often memory is collected and nothing more, so that a board always comes to its prompt.

Left alone, MicroPython collects only when its heap is full. By then what lives lies strewn over all of it with garbage
between, and with a quarter of it free no kilobyte is left in one piece: allocations fail. Collected often, what lives
stays together at the heap's low end.
"""

import gc

GARBAGE_OCTETS = 16_384

gc.threshold(GARBAGE_OCTETS)
