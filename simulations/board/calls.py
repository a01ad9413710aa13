"""The named calls of the machine (vm/board_host.call): arguments and results as JSON values, errors as OSError."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulations.board.device import Device

LIST_PIECE = 24


class Calls:
    """Each public method is a call; its name is the call's."""

    def __init__(self, device: Device) -> None:
        self._device = device

    # The machine itself.

    def boot(self) -> dict[str, Any]:
        return self._device.boot_facts()

    def heap(self, octets: int) -> None:
        self._device.heap_measured(octets)

    def failed(self, text: str) -> None:
        self._device.failure += text.encode()

    def program_failed(self) -> None:
        self._device.failed = True

    def done(self) -> None:
        self._device.command_done()

    def kbd_intr(self, char: int) -> None:
        self._device.console.interrupt_char = char

    # Time.

    def wall_us(self) -> int:
        return self._device.wall_us()

    def set_wall_us(self, time_us: int) -> None:
        self._device.wall_offset_us += time_us - self._device.wall_us()

    def rtc_memory(self) -> str:
        return self._device.rtc_memory

    def set_rtc_memory(self, octets: str) -> None:
        self._device.rtc_memory = octets

    # The part of the flash that code is executed from.

    def rom_prepare(self, octets: int) -> None:
        self._device.romfs.prepare(octets)

    def rom_write(self, offset: int, octets: str) -> None:
        self._device.romfs.write(offset, bytes.fromhex(octets))

    # machine.

    def freq(self, hz: int | None) -> int:
        if hz is not None:
            self._device.cpu_hz = hz
        return self._device.cpu_hz

    def pin_read(self, name: str) -> int:
        return self._device.pins.get(name, 1)

    def pin_write(self, name: str, level: int) -> None:
        self._device.pin_written(name, level)

    def wdt_start(self, timeout_ms: int) -> None:
        limit = self._device.profile.watchdog_max_ms
        if not 0 < timeout_ms <= limit:
            raise ValueError(f"timeout exceeds {limit}")
        self._device.watchdog.start(timeout_ms)

    def wdt_feed(self) -> None:
        self._device.watchdog.feed()

    # Sockets.

    def resolve(self, name: str) -> str | None:
        return self._device.network.resolve(name)

    def socket(self, kind: int, protocol: int) -> int:
        return self._device.sockets.open(kind, protocol)

    def bind(self, fd: int, host: str, port: int) -> None:
        self._device.sockets.bind(fd, host, port)

    def listen(self, fd: int, backlog: int) -> None:
        self._device.sockets.listen(fd, backlog)

    def connect(self, fd: int, host: str, port: int) -> None:
        self._device.sockets.connect(fd, host, port)

    def connected(self, fd: int) -> None:
        self._device.sockets.check_connected(fd)

    def accept(self, fd: int) -> tuple[int, str, int]:
        return self._device.sockets.accept(fd)

    def close(self, fd: int) -> None:
        self._device.sockets.close(fd)

    def tls_context(self, protocol: int) -> int:
        return self._device.sockets.new_context(protocol)

    def tls_trust(self, context: int, octets: str, last: bool) -> bool:
        return self._load("trust", context, octets, last)

    def tls_key(self, context: int, octets: str, last: bool) -> bool:
        return self._load("set_key", context, octets, last)

    def tls_cert(self, context: int, octets: str, last: bool) -> bool:
        return self._load("set_certificate", context, octets, last)

    def _load(self, method: str, context: int, octets: str, last: bool) -> bool:
        """Collect the pieces; with the last, whether the whole was refused."""
        pieces = self._device.pieces
        pieces += bytes.fromhex(octets)
        if not last:
            return False
        whole = bytes(pieces)
        pieces.clear()
        return not getattr(self._device.sockets.context(context), method)(whole)

    def tls_wrap(self, fd: int, context: int, verify: int, server: bool, hostname: str | None) -> None:
        self._device.sockets.wrap(fd, context, verify, server, hostname)

    def tls_done(self, fd: int) -> bool:
        port = self._device.sockets.tls(fd)
        if port.error:
            raise OSError(port.error, "TLS")
        return port.connected

    def tls_words(self, fd: int) -> str:
        return self._device.sockets.tls(fd).words

    def tls_peer(self, fd: int) -> str:
        return self._device.sockets.tls(fd).certificate().hex()

    def tls_cipher(self, fd: int) -> tuple[str, str]:
        return self._device.sockets.tls(fd).cipher()

    # The interface.

    def nic_active(self, state: bool | None) -> bool:
        return self._device.nic.set_active(state)

    def nic_connect(self, ssid: str | None, password: str | None) -> None:
        self._device.nic.connect(ssid, password)

    def nic_disconnect(self) -> None:
        self._device.nic.disconnect()

    def nic_status(self, what: str) -> Any:
        return self._device.nic.status(what)

    def nic_get(self, name: str) -> Any:
        return self._device.nic.get(name)

    def nic_set(self, name: str, value: Any) -> None:
        self._device.nic.set(name, value)

    def nic_scan(self) -> list[list[Any]]:
        return self._device.nic.scan()

    def nic_addresses(self) -> list[str]:
        return self._device.nic.show()

    def hostname(self, name: str | None) -> str:
        if name is not None:
            self._device.nic.hostname = name
        return self._device.nic.hostname

    # Files.

    def fs_open(self, path: str, mode: str) -> int:
        return self._device.flash.open(path, mode)

    def fs_close(self, handle: int) -> None:
        self._device.flash.close_file(handle)

    def fs_seek(self, handle: int, offset: int, whence: int) -> int:
        return self._device.flash.seek(handle, offset, whence)

    def fs_sync(self, handle: int) -> None:
        self._device.flash.sync(handle)

    def fs_list(self, path: str, at: int) -> list[tuple[str, int, int, int]]:
        return self._device.flash.list(path)[at : at + LIST_PIECE]

    def fs_stat(self, path: str) -> tuple[int, ...]:
        return self._device.flash.stat(path)

    def fs_statvfs(self) -> tuple[int, ...]:
        return self._device.flash.statvfs()

    def fs_mkdir(self, path: str) -> None:
        self._device.flash.mkdir(path)

    def fs_remove(self, path: str, directory: bool) -> None:
        self._device.flash.remove(path, directory)

    def fs_rename(self, old: str, new: str) -> None:
        self._device.flash.rename(old, new)

    # NVS.

    def nvs_get(self, space: str, key: str, kind: str) -> Any:
        return self._device.nvs.get(space, key, kind)

    def nvs_set(self, space: str, key: str, kind: str, value: Any) -> None:
        self._device.nvs.set(space, key, kind, value)

    def nvs_erase(self, space: str, key: str) -> None:
        self._device.nvs.erase(space, key)

    def nvs_commit(self) -> None:
        self._device.nvs.commit()
