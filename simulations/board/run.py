"""Runs one virtual board in this process until it is stopped."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from simulations.board.config import BoardConfig, ConfigError
from simulations.board.control import ConsoleLog, Control
from simulations.board.device import Device
from simulations.board.flash import Flash


def run_board(config: BoardConfig, show: Callable[[bytes], None], ready: Callable[[str], None]) -> None:
    """Install what is to be installed into a new flash, power on, and serve until `stop`, SIGTERM or SIGINT.

    `ready` is told the address of the serial line, `show` what the board prints.
    """
    log = ConsoleLog()

    def printed(octets: bytes) -> None:
        log.add(octets)
        show(octets)

    device = Device(config.settings, printed)
    with device.unpowered_flash() as flash:
        install(flash, config.install)
    control = Control(device, config.control, log) if config.control is not None else None
    # A shell's background job begins with SIGINT ignored: both are taken, whatever was before.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(device, "stopped", True))
    ready(f"socket://127.0.0.1:{device.console.port}")
    try:
        device.power_on()
        while not device.stopped:
            if device.scheduler.virtual:
                device.turn()
            else:
                # Signals are looked at in between.
                device.turn(device.scheduler.now_us() + 500_000)
    finally:
        if control is not None:
            control.close()
        device.close()


def install(flash: Flash, sources: dict[str, Path]) -> None:
    """Write files and folders (their .py, .mpy and data) of this computer. A file that is the same is left alone."""
    for target, source in sources.items():
        if not source.exists():
            raise ConfigError(f"install: {source} does not exist; try: check the path of {target}")
        paths = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
        for path in paths:
            if "__pycache__" in path.parts:
                continue
            inside = target if source.is_file() else f"{target.rstrip('/')}/{path.relative_to(source).as_posix()}"
            content = path.read_bytes()
            try:
                if flash.read_file(inside) == content:
                    continue
            except FileNotFoundError:
                # New.
                content = path.read_bytes()
            flash.write_file(inside, content)
