"""The description of one virtual board: a TOML file (or the same as JSON).

    name = "leeds"
    profile = "esp32-poe"        # a file of hardware/boards
    vm = "wasm"                  # or "unix"
    flash = "leeds.flash"        # kept between runs; without it the flash is in memory
    clock = "real"               # or "virtual"
    romfs = false                # true: its MicroPython has a ROMFS partition, and executes code in place from it
    repl_port = 8266             # 0 or absent: any free port
    control = "leeds.sock"       # path of the control socket
    [install]                    # board path = file or folder of this computer, written before the first boot
    "/main.py" = "firmware/main.py"
    "/lib/witness" = "firmware/witness"
    [nic]                        # ssid, password, wired, rssi, channel, associate_ms
    [network]                    # see topology.py; without links and nodes: the kernel's sockets

Relative paths start at the file's own folder.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulations.board.device import Settings
from simulations.board.profile import ProfileError, load_profile

KEYS = {
    "name",
    "profile",
    "vm",
    "flash",
    "clock",
    "repl_port",
    "control",
    "heap_kb",
    "romfs",
    "unique_id",
    "seed",
    "flash_pause",
    "install",
    "nic",
    "network",
}


class ConfigError(Exception):
    """The description is wrong; the message says what, where, and what to try."""


@dataclass(slots=True)
class BoardConfig:
    """A read description."""

    name: str
    settings: Settings
    control: Path | None = None
    install: dict[str, Path] = field(default_factory=dict)


def read_config(path: Path) -> BoardConfig:
    """Read a file. Raises ConfigError."""
    try:
        text = path.read_text()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; try: check the path") from error
    try:
        table = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise ConfigError(f"{path} is not {path.suffix[1:] or 'TOML'}: {error}") from error
    try:
        return parse_config(table, path.parent, path.stem)
    except (ConfigError, ProfileError) as error:
        raise ConfigError(f"{path}: {error}") from error


def parse_config(table: Mapping[str, Any], folder: Path, name: str = "board") -> BoardConfig:
    """A description as a dict. Raises ConfigError or ProfileError."""
    unknown = sorted(set(table) - KEYS)
    if unknown:
        raise ConfigError(f"unknown keys {', '.join(unknown)}; try: {', '.join(sorted(KEYS))}")
    vm, clock = table.get("vm", "wasm"), table.get("clock", "real")
    if vm not in ("wasm", "unix"):
        raise ConfigError(f"vm is {vm!r}; try: wasm or unix")
    if clock not in ("real", "virtual"):
        raise ConfigError(f"clock is {clock!r}; try: real or virtual")
    settings = Settings(
        load_profile(str(table.get("profile", "esp32-devkitc"))),
        vm=vm,
        flash=folder / table["flash"] if "flash" in table else None,
        network=dict(table.get("network", {})),
        nic=dict(table.get("nic", {})),
        virtual_clock=clock == "virtual",
        repl_port=int(table.get("repl_port", 0)),
        heap_kb=table.get("heap_kb"),
        romfs=bool(table.get("romfs", False)),
        unique_id=str(table.get("unique_id", "")),
        seed=table.get("seed"),
        flash_pause=bool(table.get("flash_pause", True)),
    )
    return BoardConfig(
        str(table.get("name", name)),
        settings,
        folder / table["control"] if "control" in table else None,
        {target: folder / source for target, source in table.get("install", {}).items()},
    )
