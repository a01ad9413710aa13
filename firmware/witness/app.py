"""The witness put together: everything is made here, from config.json and plan.cbor, and handed to one another.

    import asyncio
    from witness.app import App
    asyncio.run(App().run())        # the last statement of main.py: it may return at once

A file that does not fit ends in one line on the console: what, where and what to try; the board then stays at its
prompt so that it can be flashed again.
"""

import gc
import socket
import ssl
import sys

from linewitness_wire import codes

from .batches import Batcher
from .board import Board, reset_cause, restart
from .clock import port_clock
from .commands import Commander
from .journal import Journal
from .light import NO_BROKER, NO_LINK, NO_TIME, SAFE_MODE, WELL, Light
from .link import Link
from .lives import GOOD_LIFE_US, SAFE_AFTER
from .loading import OnDemand, Room, SignerOnDemand, forget, modules_of
from .public import Public
from .resolver import Resolver
from .schedule import Schedule, Slots
from .signer import BatchSigner
from .sockets import Datagram, Quiet
from .sockets import Icmp as IcmpSocket
from .supervise import Supervisor
from .sync import Sync
from .tally import Tally
from .uplink import Uplink, tls_context

PLAN = "/plan.cbor"
CONTROL_OCTETS = 1472  # a DNS reply or a SIP response that is longer is cut off
MEDIA_OCTETS = 512

# Codes of EVENT_TASK.
TASK_CLOCK, TASK_LINK, TASK_SYNC, TASK_BATCHES, TASK_UPLINK, TASK_COMMANDS = 1, 2, 3, 4, 5, 6
TASK_CONTROL, TASK_MEDIA, TASK_ICMP, TASK_LIGHT = 7, 8, 9, 10
TASK_SCHEDULE = 31
TASK_TARGET = 32  # and up: one a target of the plan, while a round of it runs
FOREVER_S = 1 << 30  # a receiver shows no progress while nothing arrives


class App:
    """One witness; its `batcher` is there from run() on. crashes: how many in a row came before, see lives.py. Raises
    ConfigProblem for a configuration that does not fit; without a plan that does it measures nothing, as in safe mode,
    and its batches name a plan of zeros."""

    def __init__(self, crashes: int = 0) -> None:
        from .config import ConfigProblem, empty_plan, load_config, load_plan
        from .identity import CONFIG, JOURNAL, in_place

        self._crashes = crashes
        self._safe = crashes >= SAFE_AFTER
        self._in_place = in_place()
        self.config = config = load_config(CONFIG)
        self._no_plan = False
        try:
            self.plan, self._plan_digest = load_plan(PLAN, config.site, config.witness)
        except ConfigProblem as problem:
            # A spoilt plan does not silence the witness: it says so, signed, and takes another.
            log(str(problem))
            self.plan, self._plan_digest = empty_plan(config.site, config.witness), bytes(32)
            self._no_plan = self._safe = True
        self.board = board = Board(config.board)
        self.clock = clock = port_clock()
        self.tally = Tally(clock.now_us, len(self.plan.targets), clock.now_us())
        event = self.tally.event
        self.quiet = Quiet()
        self.slots = Slots(clock, self.plan.batch_s)
        self.link = Link(clock, config.network, board.lan(), event, log)
        self.control = Datagram(socket, clock, self.link, CONTROL_OCTETS, self.quiet, board.urandom)
        self.media = Datagram(socket, clock, self.link, MEDIA_OCTETS, None, board.urandom)
        self.resolver = Resolver(self.control, clock, board.urandom, self._resolvers(), hosts=config.hosts)
        self.public = Public(event)
        self.probes: dict = {}  # {method: probe}: those that a plan of this boot has needed
        self._room = Room(self.quiet, make_probe)
        self.icmp: "IcmpSocket | None" = None
        if not self._safe:
            self._open_icmp()
        self.journal = Journal(JOURNAL, board.free_octets("/"), board.urandom, self._signer)
        self.sync = Sync(clock, self.control, self.resolver, board.urandom, event, board.set_rtc, log)
        self.supervisor = Supervisor(clock, event, log, board.feed, self._tick)
        tls = tls_context(ssl, config.broker["ca"]) if config.broker["tls"] else None
        self.uplink = Uplink(
            clock, self.link, config, self.journal, self.resolver, self.quiet, self.slots, tls, self._command, event,
            log, board.random,
        )  # fmt: skip
        self.commander = Commander(
            clock, config, PLAN, self.journal, self.uplink, self.quiet, event, log, self._change_plan, self._restart
        )

    def _resolvers(self) -> list:
        return self.plan.resolvers or self.config.resolvers

    def _signer(self, seed: bytes):
        if self._in_place:
            return SignerOnDemand(seed, self.board.urandom, self._room)
        from .crypto.ed25519 import Signer

        return Signer(seed, self.board.urandom)

    def _open_icmp(self) -> None:
        try:
            self.icmp = IcmpSocket(socket, self.clock, self.link)
        except OSError as error:
            # The plan's ICMP targets stay unmeasured, and the boot event says that this board can't.
            log("icmp: no raw socket (%s); try: run the board as root, or leave ICMP out of the plan" % error)

    def _make_probes(self) -> None:
        """Make what the plan in force needs and no plan before it did."""
        from .probing import Parts

        parts = Parts(
            socket, self.clock, self.link, self.control, self.media, self.icmp, self.quiet, self.board.urandom,
            self.config, self.public.told,
        )  # fmt: skip
        self._room.parts = parts
        for target in () if self._safe else self.plan.targets:
            method = target.method
            if method not in self.probes:
                if self._in_place and modules_of(method):
                    self.probes[method] = OnDemand(method, self._room)
                else:
                    probe = make_probe(method, parts)
                    if probe is not None:
                        self.probes[method] = probe
        forget("probing")

    # --- living ---

    async def run(self) -> None:
        """Live. Ends only with the board."""
        self._begin()
        gc.collect()
        await self.supervisor.run()

    def _begin(self) -> None:
        """All that comes before the first task: no name of it lives on in run()."""
        board, journal = self.board, self.journal
        cause = reset_cause()
        log("linewitness %s/%s on a %s: %s" % (
            self.config.site, self.config.witness, self.config.board, board.describe(),
        ))  # fmt: skip
        board.start_watchdog()
        journal.open()
        board.feed()
        if journal.retired:
            log("journal: the key had no valid head and was retired; try: enrol this witness again")
        from .identity import firmware_digest

        signer = BatchSigner(journal, self.config.site, self.config.witness, firmware_digest(), self.quiet)
        forget("release", "identity", "config", "lives")
        board.feed()
        self.batcher = Batcher(
            self.clock, self.link, self.tally, self.slots, signer, journal, self.uplink.wake, self.tally.event, log,
            board.random,
        )  # fmt: skip
        log("journal: key %s, boot %d, batch %d is the newest" % (journal.kid.hex(), journal.boot, journal.head.seq))
        capabilities = board.capabilities & (~codes.CAN_RAW_ICMP if self.icmp is None else ~0)
        if self._in_place:
            capabilities |= codes.CAN_CODE_IN_PLACE
        self.tally.event(codes.EVENT_BOOT, cause, board.code, capabilities, self.clock.now_us())
        if self._no_plan:
            self.tally.event(codes.EVENT_FAULT, codes.FAULT_CONFIG, 1)
        elif self._safe:
            log("safe mode after %d crashes in a row; try: a new plan, or `linewitness witness flash`" % self._crashes)
            self.tally.event(codes.EVENT_SAFE_MODE, self._crashes)
        self._start_tasks()
        self._begin_plan()

    def _start_tasks(self) -> None:
        start = self.supervisor.start
        start(TASK_CLOCK, self.clock.run, 30)
        start(TASK_LINK, self.link.run, 30)
        start(TASK_LIGHT, Light(self.clock, self.board.led, self._state).run, 30)
        start(TASK_CONTROL, lambda progress: self.control.run(), FOREVER_S)
        if not self._safe:
            start(TASK_MEDIA, lambda progress: self.media.run(), FOREVER_S)
        icmp = self.icmp
        if icmp is not None:
            start(TASK_ICMP, lambda progress: icmp.run(), FOREVER_S)
        start(TASK_SYNC, self._synchronise, 300)
        start(TASK_BATCHES, self.batcher.run, 60)
        start(TASK_UPLINK, self.uplink.run, 120)
        start(TASK_COMMANDS, self.commander.run, 120)

    async def _synchronise(self, progress) -> None:
        await self.sync.run(self.plan.servers or self.config.ntp, progress)

    def _tick(self) -> None:
        """Each second: what waits for something rare shows that it lives; after a while the crashes are forgotten."""
        self.clock.poke()
        self.commander.poke()
        if self._crashes and not self._safe and self.clock.now_us() > GOOD_LIFE_US and self.slots.left_us():
            from .lives import forgive

            self._crashes = 0
            forgive()
            forget("lives")

    def _state(self) -> int:
        """What the LED says."""
        if self._safe:
            return SAFE_MODE
        if not self.link.is_up():
            return NO_LINK
        if not self.uplink.connected:
            return NO_BROKER
        return WELL if self.clock.synchronised else NO_TIME

    # --- the plan ---

    def _begin_plan(self) -> None:
        """Probe as self.plan says."""
        plan = self.plan
        self._make_probes()
        self.commander.issued_utc_us = plan.issued_utc_us
        self.public.begin_plan(plan.targets)
        schedule = Schedule(
            self.clock, self.link, plan, self.probes, self.resolver, self.tally, self.slots, self.board.random,
            self._changed, lambda: self.public.backup, self._send, self.board.kind.connects,
        )  # fmt: skip
        self.batcher.begin_plan(plan, self._plan_digest, schedule)
        if not self._no_plan:
            self.tally.event(codes.EVENT_PLAN, self._plan_digest)
        self.supervisor.start(TASK_SCHEDULE, schedule.run, 30)

    def _send(self, target: int, coroutine, limit_s: int) -> None:
        self.supervisor.send(TASK_TARGET + target, coroutine, limit_s, target)

    async def _change_plan(self, plan, digest: bytes) -> None:
        """Close what the old plan measured, and go on by the new one."""
        if self._safe:
            await self._restart()  # with the plan that is stored by now
        await self.supervisor.stop(TASK_SCHEDULE)
        await self.batcher.make()
        self.plan, self._plan_digest = plan, digest
        self.tally.begin_plan(len(plan.targets))
        self.slots.begin_plan(plan.batch_s)
        self.resolver.servers = self._resolvers()
        self._begin_plan()

    def _changed(self, target: int, failing: bool) -> None:
        self.tally.event(codes.EVENT_STATE, target, 1 if failing else 0)
        self.batcher.hurry()

    # --- commands ---

    def _command(self, command) -> None:
        self.commander.take(command)

    async def _restart(self) -> None:
        await self.supervisor.stop(TASK_SCHEDULE)
        await self.batcher.make()
        from .lives import expect

        expect()
        restart()


def make_probe(method: int, parts):
    """Make the probe of a method; None where there is none."""
    from . import probing

    forget("probing")
    return probing.make_probe(method, parts)


def log(text: str, error: "Exception | None" = None) -> None:
    """Say one line on the console; an error of our own code with its place."""
    print(text)
    if error is not None:
        sys.print_exception(error)
