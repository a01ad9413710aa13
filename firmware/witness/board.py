"""The board under the witness: what it is, why it started, its watchdog, LED, wall clock and reset.

The only file that imports `machine`. BOARDS says of each kind in hardware/boards what can't be asked of the port: its
number in the boot event, the LED's pin, the longest that its watchdog waits, what it can do, its wired interface.
"""

import os
import sys
import time
from collections import namedtuple

import machine

from linewitness_wire import codes

Kind = namedtuple("Kind", ("code", "led", "watchdog_ms", "freq_hz", "capabilities", "lan", "connects"))
"""code: of the boot event; led: pin; freq_hz: None leaves the port's own; lan: arguments of network.LAN, or None;
connects: TCP sockets for probes, less than the port has by the uplink's and one for what takes turns (TLS, UPnP)."""

_WIFI = codes.CAN_RAW_ICMP | codes.CAN_TLS
_ETHERNET = codes.CAN_RAW_ICMP | codes.CAN_TLS | codes.CAN_ETHERNET
# The fields of a Kind, as constants: a frozen one takes no memory.
BOARDS = {
    "esp32-devkitc": (1, 2, 8_000, 240_000_000, _WIFI, None, 6),
    "esp32-poe": (
        2, 33, 8_000, 240_000_000, _ETHERNET,
        (("mdc", 23), ("mdio", 18), ("power", 12), ("phy_type", "PHY_LAN8720"), ("phy_addr", 0)), 6,
    ),
    "pico-w": (3, "LED", 8_000, None, _WIFI, None, 2),
}  # fmt: skip
RESETS = (
    ("PWRON_RESET", codes.RESET_POWER), ("HARD_RESET", codes.RESET_HARD), ("WDT_RESET", codes.RESET_WATCHDOG),
    ("SOFT_RESET", codes.RESET_SOFT),
)  # fmt: skip


def reset_cause() -> int:
    """Return codes.RESET_*: why the board started. Both ports call a brown-out power that came on."""
    cause = machine.reset_cause()
    for name, code in RESETS:
        if getattr(machine, name, None) == cause:
            return code
    return codes.RESET_UNKNOWN


def restart() -> None:
    """Start the board again."""
    machine.reset()


class Board:
    """The board called `name` in hardware/boards. Raises KeyError for one that is not known."""

    def __init__(self, name: str) -> None:
        self.kind = Kind(*BOARDS[name])
        self.code = self.kind.code
        self.capabilities = self.kind.capabilities
        self._watchdog: "machine.WDT | None" = None
        self._led = machine.Pin(self.kind.led, machine.Pin.OUT)
        if self.kind.freq_hz is not None:
            machine.freq(self.kind.freq_hz)

    def unique_id(self) -> bytes:
        return machine.unique_id()

    def start_watchdog(self) -> None:
        """From now on the board resets when feed() is not called for some 8 s; that can't be undone."""
        self._watchdog = machine.WDT(timeout=self.kind.watchdog_ms)

    def feed(self) -> None:
        """The witness makes progress."""
        if self._watchdog is not None:
            self._watchdog.feed()

    def led(self, on: bool) -> None:
        self._led.value(1 if on else 0)

    def set_rtc(self, utc_us: int) -> None:
        """Set the port's own clock, by which TLS judges the times in a certificate."""
        since_epoch_s = utc_us // 1_000_000 - (946_684_800 if time.gmtime(0)[0] == 2000 else 0)
        year, month, day, hour, minute, second, weekday = time.gmtime(since_epoch_s)[:7]
        machine.RTC().datetime((year, month, day, weekday, hour, minute, second, 0))

    def urandom(self, n: int) -> bytes:
        return os.urandom(n)

    def random(self, n: int) -> int:
        """A random integer of 0..n-1, 0 where n is 0: for jitter and back-off."""
        return int.from_bytes(os.urandom(4), "big") % n if n > 0 else 0

    def free_octets(self, path: str) -> int:
        """How much the file system has left."""
        facts = os.statvfs(path)
        return facts[0] * facts[3]

    def lan(self) -> "dict | None":
        """Arguments of network.LAN with the pins made; None without a wired interface."""
        if self.kind.lan is None:
            return None
        options = dict(self.kind.lan)
        for name in ("mdc", "mdio", "power"):
            options[name] = machine.Pin(options[name])
        return options

    def describe(self) -> str:
        major, minor, micro = sys.implementation.version[:3]
        return "%s, MicroPython %d.%d.%d" % (sys.platform, major, minor, micro)
