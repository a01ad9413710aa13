"""Making a fleet folder: config, fleet key, ledger, secrets, the broker's authority and certificate.

Idempotent: what is there is kept, never overwritten, and only what is missing is made. Host names given later are
added to the broker's certificate; the witnesses trust the authority and need not be touched.
"""

from __future__ import annotations

import datetime
import secrets as randomness
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from linewitness import config, ledger, pki
from linewitness.errors import CannotDo, cannot_access
from linewitness.fleet import COLLECTOR, SECRETS_HEADING, Fleet

FOLDERS = ("keys", "sites", "contracts", "reports", "dossiers")


def found_fleet(root: Path, name: str, hosts: Sequence[str], port: int, contact: str = "") -> tuple[Fleet, list[str]]:
    """Make what is missing of a fleet folder; return the fleet and the names of what was made, in order."""
    made: list[str] = []
    try:
        for folder in ("", *FOLDERS):
            (root / folder).mkdir(parents=True, exist_ok=True)
        (root / "keys").chmod(0o700)
    except OSError as e:
        raise cannot_access(e, root) from e
    if not (root / "fleet.toml").exists():
        table = {
            "fleet": {"name": name, "contact": contact or None},
            "broker": {"host": hosts[0] if hosts else "127.0.0.1", "port": port, "listen": "0.0.0.0"},
            "ledger": {"url": "sqlite:ledger.sqlite"},
        }
        config.write(root / "fleet.toml", config.dumps(table))
        made.append("fleet.toml")
    fleet = Fleet.open(root)
    made += _keys(fleet, hosts)
    if not (root / "secrets.toml").exists():
        table = {"broker": {COLLECTOR: randomness.token_urlsafe(24)}}
        config.write(root / "secrets.toml", SECRETS_HEADING + config.dumps(table), secret=True)
        made.append("secrets.toml")
    path = fleet.root / fleet.ledger_url.removeprefix("sqlite:")
    was_there = path.exists()
    ledger.open(fleet.ledger_url, root, create=True).close()
    return fleet, made if was_there else [*made, path.name]


def _keys(fleet: Fleet, hosts: Sequence[str]) -> list[str]:
    made = []
    keys, now = fleet.keys, datetime.datetime.now(datetime.UTC)
    if not (keys / "fleet.key").exists():
        if (keys / "fleet.pub").exists():  # a new key would orphan every enrolment signed by the old one
            raise CannotDo("fleet.pub is there, fleet.key is not", str(keys), "restore fleet.key from its backup")
        key = Ed25519PrivateKey.generate()
        octets = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        config.write_octets(keys / "fleet.key", octets, secret=True)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        config.write_octets(keys / "fleet.pub", public)
        made.append("keys/fleet.key")
    if not (keys / "ca.pem").exists():
        pki.make_authority(keys, fleet.name, now)
        made.append("keys/ca.pem")
    known = pki.certified_hosts(keys) if (keys / "broker.pem").exists() else []
    wanted = list(dict.fromkeys([fleet.broker.host, *hosts]))
    if not known or not set(wanted) <= set(known):
        pki.make_broker_certificate(keys, [*wanted, *known], now)
        made.append("keys/broker.pem")
    return made
