"""Carries out the commands of the host: a new plan, batches once more, a new start.

A command counts when its counter exceeds that of every one before; the counter is durable before the command takes
effect, so that none is carried out twice. What became of it is an EVENT_COMMAND in the next batch.
"""

import asyncio

from linewitness_wire import codes
from linewitness_wire import plan as wire_plan

from .journal import NotNow
from .loading import forget
from .slices import paced, replace_slices

LOOK_MS = 1_000
WAITING_MAX = 4


class Commander:
    """change_plan(plan, digest) and reset() are coroutines; batcher, uplink and journal those of the witness."""

    def __init__(self, clock, config, plan_path: str, journal, uplink, quiet, event, log, change_plan, reset) -> None:
        self._clock = clock
        self._config = config
        self._plan_path = plan_path
        self._journal = journal
        self._uplink = uplink
        self._quiet = quiet
        self._event = event
        self._log = log
        self._change_plan = change_plan
        self._reset = reset
        self._waiting: "list" = []
        self._some = asyncio.Event()
        self.issued_utc_us = 0  # when the plan in force was issued: a command that waited long brings back no older one

    def take(self, command) -> None:
        """Queue an authentic envelope.Command; one that was carried out already is dropped."""
        newest = self._waiting[-1].counter if self._waiting else self._journal.command_counter
        if command.counter > newest and len(self._waiting) < WAITING_MAX:
            self._waiting.append(command)
            self._some.set()

    def poke(self) -> None:
        """Let the task run once, so that it shows progress."""
        self._some.set()

    async def run(self, progress) -> None:
        """Carry out commands, for ever."""
        while True:
            progress()
            if self._waiting:
                command = self._waiting[0]
                await self._carry_out(command)
                self._waiting.pop(0)
            else:
                self._some.clear()
                await self._some.wait()

    async def _carry_out(self, command) -> None:
        self._log("command %d: %s" % (command.counter, codes.COMMAND_NAMES.get(command.code, "unknown")))
        if command.code == codes.COMMAND_PLAN:
            await self._plan(command)
        elif command.code == codes.COMMAND_RESEND:
            known = isinstance(command.argument, int) and self._journal.resend(command.argument)
            await self._accept(command, 0 if known else codes.FAULT_PROTOCOL)
            self._uplink.wake()
        elif command.code == codes.COMMAND_REBOOT:
            await self._accept(command, 0)
            await self._reset()
        else:
            await self._accept(command, codes.FAULT_PROTOCOL)

    async def _accept(self, command, fault: int) -> None:
        while self._journal.command_counter < command.counter:
            try:
                async with self._quiet:
                    await paced(self._journal.accept_command_slices(command.counter))
            except NotNow:
                await asyncio.sleep_ms(LOOK_MS)
        self._event(codes.EVENT_COMMAND, command.counter, command.code, fault)

    async def _plan(self, command) -> None:
        from .config import ConfigProblem, check_plan

        forget("config")
        config = self._config
        octets = command.argument
        try:
            if not isinstance(octets, bytes):
                raise ConfigProblem("a plan that is not octets", "command %d" % command.counter, "publish it again")
            plan = check_plan(octets, config.site, config.witness, "command %d" % command.counter)
            if plan.issued_utc_us < self.issued_utc_us:
                raise ConfigProblem("a plan older than the one in force", "command %d" % command.counter, "push again")
        except ConfigProblem as problem:
            self._log(str(problem))
            await self._accept(command, codes.FAULT_CONFIG)
            return
        try:
            async with self._quiet:
                await paced(replace_slices(self._plan_path, octets))
        except OSError as error:
            self._log("plan not stored: %s; try: remove what is not ours from the board" % error)
            await self._accept(command, codes.FAULT_FLASH)
            return
        await self._accept(command, 0)
        await self._change_plan(plan, wire_plan.digest(octets))
