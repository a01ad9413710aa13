"""The board itself: a MicroPython machine, its flash, its network interface, its clock and its console in one process.

`Device` is the only scheduler: it answers the machine's requests (calls.py, sockets.py), lets packets and timers
happen, and resets or cuts the power. `control.py` is its outside.
"""

from __future__ import annotations

import json
import random
import struct
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulations.board import machine as vm_machine
from simulations.board.calls import Calls
from simulations.board.console import Console
from simulations.board.flash import BlockDevice, Flash, PowerCut
from simulations.board.machine import Machine, Request
from simulations.board.nic import Nic
from simulations.board.nvs import Nvs
from simulations.board.pauses import FlashPauses
from simulations.board.ports import EAGAIN
from simulations.board.profile import EPOCH_S
from simulations.board.reactor import Reactor
from simulations.board.romfs import Romfs
from simulations.board.scheduler import RealScheduler, VirtualScheduler
from simulations.board.settings import Settings, derived_id, make_network
from simulations.board.sockets import POLLIN, POLLOUT, Counters, SocketTable
from simulations.board.watchdog import Watchdog

__all__ = ["Device", "Settings"]

COMMAND_HANDLE = 0xFFFF
SOFT_RESET = "soft reset"
CONSOLE_FD, TERMINAL_FD = 0, 1
PIN_CHANGES_KEPT = 256
# The machine is let out of our sight for so long at most, where turn() was not told until when nobody does anything.
MOST_IDLE_US = 1_000_000


@dataclass(slots=True)
class _Poll:
    """The machine waits for `watched` (number -> events) until `until_us`; a sleep watches nothing."""

    watched: dict[int, int]
    until_us: int | None
    is_sleep: bool = False


class Device:
    """See the module. `log` gets what the programs print."""

    def __init__(self, settings: Settings, log: Callable[[bytes], None]) -> None:
        self.settings = settings
        self.profile = profile = settings.profile
        self.reactor = Reactor(VirtualScheduler() if settings.virtual_clock else RealScheduler())
        self.scheduler = self.reactor.scheduler
        self.unique_id = bytes.fromhex(settings.unique_id) if settings.unique_id else derived_id(settings)
        self._device = BlockDevice(profile.filesystem_kb * 1024, settings.flash)
        self.pauses = FlashPauses(self._device, profile, self.now_us, pausing=settings.flash_pause)
        self._folder = tempfile.TemporaryDirectory(prefix="lwb-") if settings.flash is None else None
        beside = settings.flash or Path(self._folder.name if self._folder else "") / "board"
        self.romfs = Romfs(beside.with_suffix(".romfs"), profile.romfs_kb * 1024 if settings.romfs else 0)
        self.nvs = Nvs(settings.flash.with_suffix(".nvs.json") if settings.flash else None)
        self.network, addresses = make_network(settings, self.reactor, lambda: self.nic.up)
        mac = b"\x02" + self.unique_id[:5]
        self.nic = Nic(profile, self.scheduler, settings.nic, mac, addresses)
        self.sockets = SocketTable(profile, self.network, self._answer_poll)
        self.randomness = random.Random(settings.seed) if settings.seed is not None else random.SystemRandom()
        self.calls = Calls(self)
        self.flash: Flash
        self.machine: Machine | None = None
        self.console = Console(self.reactor, self, settings.repl_port, log)
        self.events: list[dict[str, Any]] = []
        self.boots = 0
        self.pins: dict[str, int] = {}
        self.pin_changes: deque[tuple[int, str, int]] = deque(maxlen=PIN_CHANGES_KEPT)
        self.pieces = bytearray()
        self.failure = b""
        # Whether boot.py, main.py or the last command ended in an exception.
        self.failed = False
        self.cpu_hz = profile.cpu_hz
        self.rtc_memory = ""
        self.wall_offset_us = settings.wall_us
        self.stopped = False
        self._boot_us = self.scheduler.now_us()
        self._power_us = self._boot_us
        self._cause = ""
        self._run_main = True
        self._poll: _Poll | None = None
        self._waits_for_command = False
        self._command: bytes | None = None
        self._finished: bytes | None = None
        self._interrupted = False
        self._alone_until_us: int | None = None
        self.watchdog = Watchdog(self.scheduler.call_later, lambda: self.reset("WDT_RESET"))
        self._heap_asked: list[Callable[[int], None]] = []

    # Power.

    def power_on(self, cause: str = "PWRON_RESET", *, run_main: bool = True) -> None:
        """Boot with this reset cause. Nothing when it is on."""
        if self.machine is not None:
            return
        if cause == "PWRON_RESET":
            self.rtc_memory = ""
            self._power_us = self.scheduler.now_us()
            self._device.dead = False
            self._device.cut_at = None
        self.flash = Flash(self._device, self.profile)
        self.boots += 1
        self._cause, self._run_main = cause, run_main
        self._boot_us = self.scheduler.now_us()
        self.machine = Machine(
            *(self.settings.vm, self.profile, self.romfs),
            virtual_clock=self.settings.virtual_clock,
            heap_kb=self.settings.heap_kb,
        )
        self.reactor.watch(self.machine.requests, read=self._read_requests)
        self.reactor.watch(self.machine.console, read=self._read_console)
        self.note("boot", cause=cause, formatted=self.flash.formatted)

    def power_off(self, cause: str = "power cut") -> None:
        """The machine stops in mid-instruction; only flash, committed NVS and (with power) RTC memory stay."""
        if self.machine is None:
            return
        machine, self.machine = self.machine, None
        self.reactor.forget(machine.requests)
        self.reactor.forget(machine.console)
        machine.kill()
        self.sockets.close_all(abandon=cause != SOFT_RESET)
        self.nic.power_off()
        self.nvs.power_off()
        self.console.input.clear()
        self._poll = None
        self._waits_for_command = self._interrupted = False
        self._command = self._finished = None
        self.pauses.forget()
        self.failure = b""
        self.pieces.clear()
        self.watchdog.stop()
        self.note("off", cause=cause)

    def reset(self, cause: str = "HARD_RESET") -> None:
        """The reset pin, machine.reset() or the watchdog."""
        self.console.reset()
        self.power_off(cause)
        causes = self.profile.reset_causes
        # RP2 tells a reset by pin or software as a watchdog reset: that is how it is done.
        self.power_on(cause if cause in causes else "WDT_RESET")

    def cut_after(self, operations: int | None) -> None:
        """Cut the power in the middle of the flash operation that is `operations` from now; None: at once."""
        if operations is None:
            self.power_off()
        else:
            self._device.cut_after(operations)

    @contextmanager
    def unpowered_flash(self) -> Iterator[Flash]:
        """The file system of a board that is off, as a programmer writes it; without the pauses."""
        if self.machine is not None:
            raise RuntimeError("the board is on")
        with self.pauses.unpowered():
            yield Flash(self._device, self.profile)

    @property
    def block_device(self) -> BlockDevice:
        """The flash's octets and counters."""
        return self._device

    def close(self) -> None:
        """End of the board."""
        self.power_off("end")
        self.console.close()
        self.network.close()
        self._device.close()
        if self._folder is not None:
            self._folder.cleanup()

    # The loop.

    def turn(self, until_us: int | None = None) -> None:
        """Let the next thing happen; at most until `until_us`, before which nothing comes from outside of the board."""
        self._alone_until_us = until_us
        poll_until_us = self._poll.until_us if self._poll is not None else None
        times_us = [time_us for time_us in (until_us, poll_until_us) if time_us is not None]
        may_advance = self.machine is None or not self.machine.computing
        self.reactor.turn(min(times_us) if times_us else None, may_advance=may_advance)
        self._answer_poll()

    def now_us(self) -> int:
        """Microseconds since boot."""
        return self.scheduler.now_us() - self._boot_us

    def wall_us(self) -> int:
        """The RTC: microseconds since the port's epoch; a board that was never told counts from power-on."""
        return self.scheduler.now_us() - self._power_us + self.wall_offset_us

    def pin_written(self, name: str, level: int) -> None:
        """A pin was set; a change is remembered with its time, so that what an LED says can be read."""
        if self.pins.get(name) != level:
            self.pins[name] = level
            self.pin_changes.append((self.scheduler.now_us(), name, level))

    def note(self, kind: str, **facts: Any) -> None:
        """Remember what happened to the board."""
        self.events.append({"at_us": self.scheduler.now_us(), "kind": kind, **facts})

    # What the console asks (console.Prompt).

    def idle(self) -> bool:
        return self._waits_for_command

    def interrupt(self) -> None:
        if self._poll is not None:
            self._poll = None
            self._reply(vm_machine.INTERRUPTED)
        else:
            self._interrupted = True

    def execute(self, source: bytes) -> None:
        self._waits_for_command = False
        self._command = source
        self._reply(0, json.dumps(len(source)).encode())

    def soft_reset(self, *, run_main: bool) -> None:
        self.power_off(SOFT_RESET)
        self.power_on("SOFT_RESET" if "SOFT_RESET" in self.profile.reset_causes else "PWRON_RESET", run_main=run_main)

    def input_arrived(self) -> None:
        self._answer_poll()

    def banner(self) -> bytes:
        first = f"MicroPython on the virtual board; {self.profile.machine}"
        return f'{first}\r\nType "help()" for more information.'.encode()

    # What calls.py asks.

    def boot_facts(self) -> dict[str, Any]:
        profile = self.profile
        return {
            "platform": profile.platform,
            "machine": profile.machine,
            "run_main": self._run_main,
            "reset_cause": profile.reset_causes.get(self._cause, 1),
            "reset_causes": profile.reset_causes,
            "network_constants": profile.network_constants,
            "wifi": profile.wifi,
            "ethernet": profile.ethernet,
            "tls_session_bytes": profile.tls_session_bytes,
            "tls_handshake_bytes": profile.tls_handshake_bytes,
            "unique_id": self.unique_id.hex(),
            "romfs_path": str(self.romfs.path),
            "romfs_size": self.romfs.size,
            "epoch_s": EPOCH_S[profile.platform],
        }

    def command_done(self) -> None:
        failure, self.failure = self.failure, b""
        self._finished = failure

    def ask_heap(self, tell: Callable[[int], None]) -> None:
        """Call `tell` with the live heap in octets after a collection, at the machine's next wait."""
        self._heap_asked.append(tell)
        self._answer_poll()

    def heap_measured(self, octets: int) -> None:
        asked, self._heap_asked = self._heap_asked, []
        for tell in asked:
            tell(octets)

    # Requests of the machine.

    def _read_console(self) -> None:
        if self.machine is not None:
            octets = self.machine.read_console()
            if octets:
                self.console.printed(octets)
            else:
                self.reactor.forget(self.machine.console)

    def _read_requests(self) -> None:
        machine = self.machine
        if machine is None:
            return
        requests = machine.read_requests()
        # What was printed before the request.
        octets = machine.read_console()
        if octets:
            self.console.printed(octets)
        if requests is None:
            self._machine_died(machine)
            return
        for request in requests:
            if request.operation == vm_machine.CONSOLE:
                self.console.printed(request.body)
            else:
                self._handle(request)

    def _machine_died(self, machine: Machine) -> None:
        """It could not even tell what it raised: as on a board, only the watchdog helps."""
        if not self.watchdog.is_on:
            self.power_off("machine ended")
            return
        self.reactor.forget(machine.requests)
        self._poll = None
        machine.computing = False
        self.note("died")

    def _handle(self, request: Request) -> None:
        operation, body, ahead_us = request
        if isinstance(self.scheduler, VirtualScheduler):
            self.scheduler.advance_to(self.scheduler.now_us() + ahead_us)
        if self._interrupted and operation in (vm_machine.POLL, vm_machine.SLEEP, vm_machine.SEND, vm_machine.RECV):
            self._interrupted = False
            self._reply(vm_machine.INTERRUPTED)
            return
        try:
            self._dispatch(operation, body)
        except OSError as error:
            number = error.errno or 5
            self._reply(-number if number > 0 else vm_machine.TLS_ERRORS + number)
        except (ValueError, TypeError) as error:
            self._reply(vm_machine.REFUSED, str(error).encode()[:200])
        except PowerCut:
            # Not answered: firmware on hardware never sees an error of its last write.
            self.power_off()

    def _dispatch(self, operation: int, body: bytes) -> None:
        if operation == vm_machine.POLL:
            self._begin_poll(body)
        elif operation == vm_machine.CALL:
            self._call(body)
        elif operation == vm_machine.SLEEP:
            self._poll = _Poll({}, self.scheduler.now_us() + max(0, struct.unpack("<q", body)[0]), is_sleep=True)
            self._answer_poll()
        elif operation == vm_machine.RANDOM:
            self._reply(0, self.randomness.randbytes(struct.unpack("<H", body)[0]))
        elif operation in (vm_machine.READ, vm_machine.WRITE):
            self._file(operation, body)
        else:
            self._socket(operation, body)

    def _file(self, operation: int, body: bytes) -> None:
        handle = struct.unpack_from("<H", body)[0]
        if operation == vm_machine.WRITE:
            self.flash.write(handle, body[2:])
            self._reply(len(body) - 2)
            return
        size = struct.unpack_from("<H", body, 2)[0]
        if handle == COMMAND_HANDLE:
            assert self._command is not None
            piece, self._command = self._command[:size], self._command[size:]
            self._reply(0, piece)
        else:
            self._reply(0, self.flash.read(handle, size))

    def _socket(self, operation: int, body: bytes) -> None:
        fd = struct.unpack_from("<H", body)[0]
        if operation == vm_machine.SEND:
            if fd == CONSOLE_FD:
                self.console.write(body[2:])
                self._reply(len(body) - 2)
            elif fd == TERMINAL_FD:
                self.console.printed(body[2:])
                self._reply(len(body) - 2)
            else:
                self._reply(self.sockets.send(fd, body[2:]))
        elif operation == vm_machine.SENDTO:
            address = ".".join(str(octet) for octet in body[2:6])
            port = struct.unpack_from("<H", body, 6)[0]
            self._reply(self.sockets.send_to(fd, body[8:], (address, port)))
        elif operation == vm_machine.RECV:
            size = struct.unpack_from("<H", body, 2)[0]
            self._reply(0, self._read_stdin(size) if fd == CONSOLE_FD else self.sockets.receive(fd, size))
        elif operation == vm_machine.RECVFROM:
            size = struct.unpack_from("<H", body, 2)[0]
            data, (host, port) = self.sockets.receive_from(fd, size)
            self._reply(0, bytes(int(part) for part in host.split(".")) + struct.pack("<H", port) + data)
        else:
            raise ValueError(f"unknown operation {operation}")

    def _read_stdin(self, size: int) -> bytes:
        if not self.console.input:
            raise OSError(EAGAIN, "EAGAIN")
        octets = bytes(self.console.input[:size])
        del self.console.input[:size]
        return octets

    def _call(self, body: bytes) -> None:
        name, *arguments = json.loads(body)
        if name == "command":
            self._waits_for_command = True
            if self._finished is None:
                self.console.booted()
            else:
                self._tell_finished()
            return
        if name == "reset":
            self._cause_of_call(*arguments)
            return
        if name.startswith("_") or not hasattr(self.calls, name):
            raise ValueError(f"unknown call {name}")
        result = getattr(self.calls, name)(*arguments)
        self._reply(0, json.dumps(result).encode())

    def _tell_finished(self) -> None:
        failure, self._finished = self._finished, None
        self.console.finished(failure or b"")

    def _cause_of_call(self, kind: str) -> None:
        if kind == "soft":
            self.console.write(b"MPY: soft reboot\r\n")
            self.soft_reset(run_main=True)
        else:
            self.reset("HARD_RESET")

    def _reply(self, status: int, body: bytes = b"") -> None:
        """Answer, after the pause of the flash for the erases and programs that the request has made."""
        stall_us = self.pauses.take_us()
        if stall_us and self.machine is not None:
            machine = self.machine
            self.scheduler.call_later(stall_us, lambda: self._reply_now(machine, status, body))
        elif self.machine is not None:
            self._reply_now(self.machine, status, body)

    def _reply_now(self, machine: Machine, status: int, body: bytes) -> None:
        if machine is self.machine:
            idle_until_us = self._idle_until_us() // 2 * 2 + self.nic.changes % 2
            machine.reply(status, self.scheduler.now_us() - self._boot_us, body, idle_until_us)

    def _idle_until_us(self) -> int:
        """In virtual time: until when a wait for input can be answered without us (microseconds since boot), else 0."""
        scheduler = self.scheduler
        if not scheduler.virtual or self._heap_asked or self._interrupted or self.console.input:
            return 0
        if self.pauses.holds_up:
            return 0  # we want to see when it waits next
        if self.sockets.input_waits():
            return 0
        limit_us = scheduler.now_us() + MOST_IDLE_US if self._alone_until_us is None else self._alone_until_us
        due_us = scheduler.next_due_us()
        return (limit_us if due_us is None else min(due_us, limit_us)) - self._boot_us

    def _begin_poll(self, body: bytes) -> None:
        self.pauses.loop_waits(self.boots)
        timeout_ms = struct.unpack_from("<i", body)[0]
        watched: dict[int, int] = {}
        for offset in range(4, len(body), 3):
            fd, events = struct.unpack_from("<HB", body, offset)
            watched[fd] = watched.get(fd, 0) | events
        until_us = self.scheduler.now_us() + timeout_ms * 1000 if timeout_ms >= 0 else None
        self._poll = _Poll(watched, until_us)
        self._answer_poll()

    def _answer_poll(self) -> None:
        poll = self._poll
        if poll is None:
            return
        ready = b""
        console = POLLOUT | (POLLIN if self.console.input else 0)
        for fd, wanted in poll.watched.items():
            happened = console if fd == CONSOLE_FD else self.sockets.events(fd)
            happened &= wanted | 0x18
            if happened:
                ready += struct.pack("<HB", fd, happened)
        measure = bool(self._heap_asked) and not poll.is_sleep
        over = poll.until_us is not None and poll.until_us <= self.scheduler.now_us()
        if ready or over or measure:
            self._poll = None
            self._reply(vm_machine.MEASURE if measure else 0, ready)

    def counters(self) -> dict[str, Any]:
        """Everything that is counted, for the control channel."""
        counters: Counters = self.sockets.counters
        return {
            "boots": self.boots,
            "on": self.machine is not None,
            "now_us": self.scheduler.now_us(),
            "boot_us": self._boot_us,
            "queue_drops": self.sockets.queue_drops(),
            "datagrams_sent": counters.datagrams_sent,
            "datagrams_received": counters.datagrams_received,
            "octets_sent": counters.octets_sent,
            "octets_received": counters.octets_received,
            "most_udp_sockets": counters.most_udp_sockets,
            "flash_programs": self._device.programs,
            "flash_erases": self._device.erases,
            "associations": self.nic.associations,
            "listening": {str(port): list(address) for port, address in self.sockets.listening().items()},
            "pins": self.pins,
            "pin_changes": list(self.pin_changes),
        }
