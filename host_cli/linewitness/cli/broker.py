"""`linewitness broker`."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import click

from linewitness.cli import command

if TYPE_CHECKING:
    from linewitness.fleet import Fleet


@command(render=lambda value: f"stopped {value['engine']}")
@click.option("--engine", type=click.Choice(["mosquitto", "amqtt"]), help="Default: mosquitto if there is one.")
def broker(fleet: Fleet, engine: str | None) -> dict[str, object]:
    """Run the MQTT broker until Ctrl-C: TLS, a password for each witness, each witness its own topics only.

    Example: linewitness broker --fleet acme
    """
    from linewitness.collect.broker import find_engine, run_broker

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    found = find_engine(engine)
    where = f"{fleet.broker.listen}:{fleet.broker.port}"
    run_broker(fleet, found, stop, lambda: click.echo(f"{found} listens on {where} (TLS)", err=True))
    return {"engine": found, "listen": where}
