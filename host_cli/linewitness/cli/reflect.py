"""`linewitness reflect`: our own end of the call-quality windows."""

from __future__ import annotations

import signal
import socket
import time
from dataclasses import asdict
from pathlib import Path

import click

from linewitness import reflector
from linewitness.cli import command
from linewitness.endpoint import endpoint
from linewitness.errors import CannotDo, UsageProblem


def _render(counters: dict[str, int]) -> str:
    return "  ".join(f"{name} {value}" for name, value in counters.items())


def _key(path: Path | None) -> bytes | None:
    """Return the key of a file that holds it in hex. Raises UsageProblem."""
    if path is None:
        return None
    try:
        key = bytes.fromhex(path.read_text().strip())
    except ValueError:
        raise UsageProblem("the key is not hexadecimal", str(path), "openssl rand -hex 32 > FILE") from None
    if len(key) < 16:
        raise UsageProblem(f"the key has {len(key)} octets, 16 are needed", str(path), "openssl rand -hex 32 > FILE")
    return key


def _bound(address: str) -> socket.socket:
    where = endpoint(address, "--bind", f"0.0.0.0:{reflector.PORT}")
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.bind(where)
    except PermissionError:
        raise CannotDo("not allowed to use this port", address, "a port from 1024, or root") from None
    except OSError as e:
        raise CannotDo(e.strerror or str(e), address, "another --bind, or stop what holds the port") from None
    return sock


@command(fleet=False, render=_render)
@click.option("--bind", default=f"0.0.0.0:{reflector.PORT}", show_default=True, help="Where to listen, ADDRESS:PORT.")
@click.option("--allow", multiple=True, metavar="NETWORK", help="Answer unauthenticated packets from here; repeatable.")
@click.option(
    "--key-file",
    type=click.Path(path_type=Path, dir_okay=False, readable=False),
    help="Answer authenticated packets, from anywhere (hex key).",
)
@click.option(
    "--error-us", type=click.IntRange(0), help="What this host's clock may be wrong by [default: unsynchronised]."
)
@click.option("--stateless", is_flag=True, help="Copy the sender's numbers: no loss by direction.")
@click.option("--for", "seconds", type=float, help="Stop after so many seconds.")
def reflect(
    bind: str,
    allow: tuple[str, ...],
    key_file: Path | None,
    error_us: int | None,
    stateless: bool,
    seconds: float | None,
) -> object:
    """Run the STAMP session-reflector (RFC 8762) until Ctrl-C.

    Example: linewitness reflect --allow 192.0.2.0/24 --error-us 1000
    """
    key = _key(key_file)
    if not allow and key is None:
        raise UsageProblem("nobody to answer", "reflect", "--allow NETWORK of the branches, or --key-file FILE")
    try:
        networks = reflector.networks(allow)
    except ValueError as e:
        raise UsageProblem(str(e), "--allow", "a network such as 192.0.2.0/24") from None
    ours = reflector.Reflector(allow=networks, key=key, error_us=error_us, stateful=not stateless)
    sock = _bound(bind)
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda caught, _: stopped.append(caught))
    until_s = time.monotonic() + seconds if seconds is not None else None
    click.echo(f"reflecting on {bind}", err=True)
    reflector.serve(ours, sock, lambda: bool(stopped) or (until_s is not None and time.monotonic() >= until_s))
    return asdict(ours.counters)
