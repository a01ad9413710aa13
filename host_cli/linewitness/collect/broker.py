"""Running the MQTT broker: mosquitto where there is one, else amqtt in this process. TLS and a password, always.

mosquitto gets its configuration written into FLEET/broker/ and is told (SIGHUP) when the secrets change; amqtt reads
them itself (access.py). What both enforce is topics.py.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ctypes
import getpass
import hashlib
import logging
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from linewitness import config
from linewitness.collect import topics
from linewitness.errors import CannotDo
from linewitness.fleet import COLLECTOR, Fleet, broker_users

MAX_INFLIGHT = 1000  # unacknowledged at the collector: what a commit can gather
MAX_QUEUED = 1_000_000  # for a collector that is away; 0 ("no limit") is mishandled by several mosquitto versions
_PBKDF2_ROUNDS = 101  # mosquitto's own default; the passwords are random, 24 letters
_SECRETS_POLL_S = 1.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def find_engine(wanted: str | None = None) -> str:
    """Return the engine to run: the one wanted, else mosquitto, else amqtt. Raises CannotDo where there is none."""
    if wanted in (None, "mosquitto") and mosquitto_path() is not None:
        return "mosquitto"
    if wanted == "mosquitto":
        raise CannotDo("no mosquitto on this machine", "PATH", "apt install mosquitto, or --engine amqtt")
    try:
        import amqtt.broker  # noqa: F401
    except ImportError as e:
        raise CannotDo("no MQTT broker here", "mosquitto, amqtt", 'pip install "linewitness[broker]"') from e
    return "amqtt"


def mosquitto_path() -> str | None:
    """Return the path of mosquitto, which Debian keeps where an ordinary user's PATH does not look."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")


def check_port(listen: str, port: int) -> None:
    """Return nothing; raise CannotDo unless the address is free to listen on."""
    try:
        family = socket.AF_INET6 if ":" in listen else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((listen, port))
            probe.listen(1)
    except OSError as e:
        what = "port in use" if e.errno == 98 else f"can't listen: {(e.strerror or str(e)).lower()}"
        raise CannotDo(what, f"{listen}:{port}", "end the other program, or another port in fleet.toml: broker") from e


def run_broker(fleet: Fleet, engine: str, stop: threading.Event, ready: Callable[[], None]) -> None:
    """Run the broker until stop is set; ready is called once it listens. Raises CannotDo."""
    for name in ("broker.pem", "broker.key"):
        if not os.access(fleet.keys / name, os.R_OK):
            raise CannotDo("can't read the broker's certificate", str(fleet.keys / name), "linewitness init FLEET")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(fleet.keys / "broker.pem", fleet.keys / "broker.key")
    except ssl.SSLError as e:
        where, hint = str(fleet.keys / "broker.pem"), "restore broker.pem and broker.key from a backup"
        raise CannotDo("the broker's certificate and key are not PEM, or no pair", where, hint) from e
    fleet.broker_password()
    check_port(fleet.broker.listen, fleet.broker.port)
    if engine == "mosquitto":
        _run_mosquitto(fleet, stop, ready)
    else:
        asyncio.run(_run_amqtt(fleet, stop, ready))


# --- mosquitto ------------------------------------------------------------------------------------------------------


def write_mosquitto_config(fleet: Fleet) -> Path:
    """Write mosquitto.conf, passwords and rules; return the path of the first."""
    folder = (fleet.root / "broker").resolve()
    folder.mkdir(mode=0o700, exist_ok=True)
    keys = fleet.keys.resolve()
    lines = [
        f"listener {fleet.broker.port} {fleet.broker.listen}",
        f"certfile {keys / 'broker.pem'}",
        f"keyfile {keys / 'broker.key'}",
        "tls_version tlsv1.2",
        "allow_anonymous false",
        f"password_file {folder / 'passwords'}",
        f"acl_file {folder / 'rules'}",
        "persistence true",
        f"persistence_location {folder}/",
        "autosave_interval 60",
        f"max_inflight_messages {MAX_INFLIGHT}",
        f"max_queued_messages {MAX_QUEUED}",
        "message_size_limit 65536",
        f"user {getpass.getuser()}",  # started by root it would else become a user who can't read the keys
        "log_dest stderr",
        "log_type error",
        "log_type warning",
    ]
    config.write(folder / "mosquitto.conf", "\n".join(lines) + "\n", secret=True)
    _write_users(fleet, folder)
    return folder / "mosquitto.conf"


def _write_users(fleet: Fleet, folder: Path) -> None:
    users = broker_users(fleet.root / "secrets.toml")
    config.write(folder / "passwords", "".join(f"{u}:{_hashed(p)}\n" for u, p in users.items()), secret=True)
    rules = []
    for user in users:
        of = ("+", "+") if user == COLLECTOR else tuple(user.split("/", 1))
        if len(of) != 2:
            continue
        heard, published = topics.TO_WITNESS, topics.FROM_WITNESS
        if user == COLLECTOR:
            heard, published = published, heard
        rules.append(f"user {user}")
        rules += [f"topic read {topics.topic(*of, word)}" for word in heard]
        rules += [f"topic write {topics.topic(*of, word)}" for word in published]
    config.write(folder / "rules", "\n".join(rules) + "\n", secret=True)


def _hashed(password: str) -> str:
    salt = os.urandom(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _PBKDF2_ROUNDS)
    return f"$7${_PBKDF2_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def _run_mosquitto(fleet: Fleet, stop: threading.Event, ready: Callable[[], None]) -> None:
    path = mosquitto_path()
    if path is None:
        raise CannotDo("no mosquitto on this machine", "PATH", "--engine amqtt")
    secrets = fleet.root / "secrets.toml"
    changed_ns = secrets.stat().st_mtime_ns  # before the users are written, lest a change in between be missed
    settings = write_mosquitto_config(fleet)
    process = subprocess.Popen(
        [path, "-c", str(settings)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,
    )
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.extend(process.stderr or ()), daemon=True)
    reader.start()
    try:
        _wait_until_listening(fleet, process, said)
        ready()
        while not stop.wait(_SECRETS_POLL_S):
            if process.poll() is not None:
                raise CannotDo(
                    "mosquitto ended: " + (said[-1] if said else f"code {process.returncode}"), str(settings)
                )
            if secrets.stat().st_mtime_ns != changed_ns:
                changed_ns = secrets.stat().st_mtime_ns
                _write_users(fleet, settings.parent)
                process.send_signal(signal.SIGHUP)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()


def _end_with_parent() -> None:
    """In the child: be terminated when the parent dies, however it does, lest an orphan hold the port."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_until_listening(fleet: Fleet, process: subprocess.Popen[str], said: list[str]) -> None:
    host = "127.0.0.1" if fleet.broker.listen in ("0.0.0.0", "") else fleet.broker.listen
    for _ in range(100):
        if process.poll() is not None:
            raise CannotDo("mosquitto did not start: " + (said[-1] if said else ""), str(fleet.root / "broker"))
        with contextlib.suppress(OSError), socket.create_connection((host, fleet.broker.port), 0.5):
            return
        threading.Event().wait(0.05)
    raise CannotDo("mosquitto does not listen", f"{host}:{fleet.broker.port}", "--engine amqtt")


# --- amqtt ----------------------------------------------------------------------------------------------------------


async def _run_amqtt(fleet: Fleet, stop: threading.Event, ready: Callable[[], None]) -> None:
    from amqtt.broker import Broker
    from amqtt.errors import BrokerError

    logging.getLogger("amqtt").setLevel(logging.ERROR)  # it writes a line for every malformed packet of a stranger
    logging.getLogger("transitions").setLevel(logging.ERROR)
    broker = Broker(amqtt_config(fleet))
    try:
        await broker.start()
    except (BrokerError, OSError) as e:
        raise CannotDo(f"the broker did not start: {e}", f"{fleet.broker.listen}:{fleet.broker.port}") from e
    ready()
    try:
        while not stop.is_set():
            await asyncio.sleep(0.1)
    finally:
        await broker.shutdown()


def amqtt_config(fleet: Fleet) -> dict[str, object]:
    """Return amqtt's configuration: one TLS listener, nobody anonymous, the fleet's own rules."""
    listener = {
        "type": "tcp",
        "bind": f"{fleet.broker.listen}:{fleet.broker.port}",
        "ssl": True,
        "certfile": str(fleet.keys / "broker.pem"),
        "keyfile": str(fleet.keys / "broker.key"),
    }
    access = {"secrets": str(fleet.root / "secrets.toml")}
    return {"listeners": {"default": listener}, "plugins": {"linewitness.collect.access.FleetAccess": access}}
