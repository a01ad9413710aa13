"""`linewitness collect`."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from linewitness.cli import command
from linewitness.endpoint import endpoint

if TYPE_CHECKING:
    from linewitness.collect.collector import Tally
    from linewitness.fleet import Fleet

EVERY_BATCHES, EVERY_S = 100, 30.0
MANY_RECONNECTS = 5  # a broker is restarted now and then; two collectors take turns every few seconds


def _line(tally: Tally) -> str:
    counts = {key: value for key, value in tally.as_dict().items() if value or key == "stored"}
    state = "connected" if tally.connected else "waiting for the broker"
    if tally.reconnects >= MANY_RECONNECTS:
        state += "; is another collector of this fleet running on another computer?"
    return ", ".join(f"{value} {key}" for key, value in counts.items()) + f" ({state})"


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[Tally], None]]:
    """Yield what shows the tally on stderr: one live line on a terminal, else a line for every hundred batches."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.status import Status

        with Status("connecting", console=Console(stderr=True)) as status:
            yield lambda tally: status.update(_line(tally))
        return
    last = {"batches": 0, "at_s": time.monotonic()}

    def show(tally: Tally) -> None:
        batches, now_s = sum(tally.counts.values()), time.monotonic()
        if batches - last["batches"] >= EVERY_BATCHES or (
            batches != last["batches"] and now_s - last["at_s"] >= EVERY_S
        ):
            last.update(batches=batches, at_s=now_s)
            click.echo(_line(tally), err=True)

    yield show


def address_of(text: str | None) -> tuple[str | None, int | None]:
    """Return (host, port) of HOST:PORT, (None, None) of nothing. Raises UsageProblem."""
    return (None, None) if text is None else endpoint(text, "--broker", "127.0.0.1:8883")


@command(render=lambda value: ", ".join(f"{n} {key}" for key, n in value.items() if n or key == "stored"))
@click.option("--broker", "address", metavar="HOST:PORT", help="Where the broker is; default: as fleet.toml says.")
@click.option("--for", "for_s", type=click.FloatRange(0), metavar="SECONDS", help="Stop after so long.")
@click.option(
    "--until-idle", "idle_s", type=click.FloatRange(0), metavar="SECONDS", help="Stop when nothing came so long."
)
def collect(fleet: Fleet, address: str | None, for_s: float | None, idle_s: float | None) -> dict[str, object]:
    """Take in batches until Ctrl-C: verify, store, then acknowledge to the witness.

    Example: linewitness collect --fleet acme --until-idle 5
    """
    from linewitness.collect.collector import Collector
    from linewitness.lock import only_one

    with only_one(fleet.root, "collector"), fleet.ledger() as book, _progress() as progress:
        collector = Collector(fleet, book, *address_of(address))
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: collector.stop())
        return collector.run(for_s=for_s, until_idle_s=idle_s, progress=progress).as_dict()
