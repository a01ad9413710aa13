"""A kind of board, as `hardware/boards/*.toml` describes it: the limits that the virtual board enforces."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT_BOARDS = Path(__file__).parent.parent.parent / "hardware" / "boards"
# machine.reset_cause() numbers by port.
RESET_CAUSES = {
    "esp32": {"PWRON_RESET": 1, "HARD_RESET": 2, "WDT_RESET": 3, "DEEPSLEEP_RESET": 4, "SOFT_RESET": 5},
    "rp2": {"PWRON_RESET": 1, "WDT_RESET": 3},
}
NETWORK_CONSTANTS = {
    "esp32": {
        "STAT_IDLE": 1000,
        "STAT_CONNECTING": 1001,
        "STAT_GOT_IP": 1010,
        "STAT_NO_AP_FOUND": 201,
        "STAT_WRONG_PASSWORD": 202,
        "STAT_BEACON_TIMEOUT": 200,
        "STAT_ASSOC_FAIL": 203,
        "STAT_HANDSHAKE_TIMEOUT": 204,
        "ETH_INITIALIZED": 0,
        "ETH_STARTED": 1,
        "ETH_STOPPED": 2,
        "ETH_CONNECTED": 3,
        "ETH_DISCONNECTED": 4,
        "ETH_GOT_IP": 5,
        "PHY_LAN8710": 0,
        "PHY_LAN8720": 1,
        "PHY_IP101": 2,
        "PHY_RTL8201": 3,
        "PHY_DP83848": 4,
    },
    "rp2": {
        "STAT_IDLE": 0,
        "STAT_CONNECTING": 1,
        "STAT_WRONG_PASSWORD": -3,
        "STAT_NO_AP_FOUND": -2,
        "STAT_CONNECT_FAIL": -1,
        "STAT_GOT_IP": 3,
    },
}
# Seconds from 1970 to the port's epoch.
EPOCH_S = {"esp32": 946_684_800, "rp2": 0}


class ProfileError(Exception):
    """No such board, or its file lacks a value."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Limits and names of one kind of board; sizes in the unit of the name."""

    name: str
    title: str
    platform: str
    machine: str
    arch: str
    heap_kb: int
    cpu_hz: int
    filesystem_kb: int
    romfs_kb: int
    block_bytes: int
    program_bytes: int
    erase_ms: int
    program_us: int
    udp_sockets: int
    raw_sockets: int
    tcp_sockets: int
    rx_queue_datagrams: int
    tcp_window_bytes: int
    tls_session_bytes: int
    tls_handshake_bytes: int
    raw_icmp: bool
    ethernet: bool
    wifi: bool
    auto_reconnect: bool
    watchdog_max_ms: int

    @property
    def reset_causes(self) -> dict[str, int]:
        """Constants of `machine` for reset_cause()."""
        return RESET_CAUSES[self.platform]

    @property
    def network_constants(self) -> dict[str, int]:
        """Constants of `network`."""
        return NETWORK_CONSTANTS[self.platform]


def boards_folder() -> Path:
    """Where the board files are: in the checkout, or beside the installed command's device files."""
    if CHECKOUT_BOARDS.is_dir():
        return CHECKOUT_BOARDS
    import linewitness

    return Path(linewitness.__file__).parent / "device" / "boards"


def profile_names() -> tuple[str, ...]:
    """Names that load_profile takes."""
    return tuple(sorted(path.stem for path in boards_folder().glob("*.toml")))


def load_profile(name: str) -> Profile:
    """The profile `name`, e.g. "esp32-poe". Raises ProfileError."""
    path = boards_folder() / f"{name}.toml"
    if not path.is_file():
        raise ProfileError(f"no board {name!r} in {path.parent}; try: one of {', '.join(profile_names())}")
    table = tomllib.loads(path.read_text())
    flat: dict[str, Any] = {key: value for key, value in table.items() if not isinstance(value, dict)}
    for section in ("memory", "flash", "network", "capabilities"):
        flat.update(table.get(section, {}))
    missing = [key for key in Profile.__slots__ if key not in flat]
    if missing:
        raise ProfileError(f"{path} lacks {', '.join(missing)}")
    return Profile(**{key: flat[key] for key in Profile.__slots__})
