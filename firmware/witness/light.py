"""What the LED says to a person at the branch, who reads it out on the phone: count the flashes, then the dark pause.

    steady light, a short gap every four seconds    all is well: the broker is there
    1 flash     no link: Wi-Fi not found or refused, cable out
    2 flashes   a link, but the broker is not reached
    3 flashes   the broker is there, but no time server has answered since the start
    4 flashes   safe mode: the firmware crashed several times in a row and measures nothing
    dark        no power, or the program does not run

A cycle is STEPS steps of STEP_MS.
"""

STEP_MS = 200
STEPS = 20
WELL, NO_LINK, NO_BROKER, NO_TIME, SAFE_MODE = 0, 1, 2, 3, 4


def is_lit(flashes: int, step: int) -> bool:
    """Whether the LED is on in a step (0..STEPS - 1) of the cycle that says `flashes`."""
    if flashes == WELL:
        return step > 0
    return step < 2 * flashes and not step & 1


class Light:
    """led(on) switches the LED; state() says which of the numbers above holds."""

    def __init__(self, clock, led, state) -> None:
        self._clock = clock
        self._led = led
        self._state = state

    async def run(self, progress) -> None:
        """Say it for ever; what is said changes only between two cycles."""
        while True:
            flashes = self._state()
            step = 0
            while step < STEPS:
                lit = is_lit(flashes, step)
                steps = 1
                while step + steps < STEPS and is_lit(flashes, step + steps) == lit:
                    steps += 1
                self._led(lit)
                await self._clock.sleep_ms(steps * STEP_MS)
                step += steps
            progress()
