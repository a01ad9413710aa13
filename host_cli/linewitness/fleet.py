"""The fleet folder: where a fleet's config, keys, sites, contracts, secrets and ledger are.

    fleet.toml            name, contact, broker, ledger, timestamps (no secrets)
    secrets.toml   0600   broker passwords, acknowledgement secrets, what plans and sites name as secret:NAME
    counters.toml         of commands to witnesses (collect/counters.py)
    keys/fleet.key 0600   Ed25519, PKCS8 PEM: signs enrolments, plans, dossiers; fleet.pub beside it
    keys/ca.key    0600   P-256: signed ca.pem, which signed broker.pem (broker.key 0600); witnesses trust ca.der
    sites/SITE.toml       one branch office (see site.py)
    authorities/NAME.pem  whom a plan's targets trust (see device/authorities.py)
    contracts/NAME.toml   ledger.sqlite   reports/   dossiers/

Opening reads fleet.toml only; keys, secrets and the ledger are read when they are asked for.
"""

from __future__ import annotations

import hashlib
import secrets as randomness
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from linewitness import config
from linewitness.config import ANY, Optional
from linewitness.errors import CannotDo, UsageProblem, cannot_access

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from linewitness.ledger import Ledger
    from linewitness.site import Site

FLEET_SCHEMA = {
    "fleet": {"name": str, "contact": Optional(str)},
    "broker": {"host": str, "port": int, "listen": Optional(str)},
    "ledger": Optional({"url": str}),
    "timestamps": Optional({"url": Optional(str), "root": Optional(str)}),
    "reminders": Optional(
        {
            "smtp": Optional(str),
            "mail_from": Optional(str),
            "mail_to": Optional([str]),
            "mail_security": Optional(str),
            "mail_user": Optional(str),
            "mail_password": Optional(str),
            "mail_authority": Optional(str),
            "webhook": Optional(str),
            "webhook_token": Optional(str),
            "days_before": Optional([int]),
            "sides": Optional([str]),
            "least_s": Optional(int),
        }
    ),
}

SECRETS_SCHEMA = {
    "broker": Optional({ANY: str}),
    "witness": Optional({ANY: {"password": str, "ack_secret": str}}),
    "named": Optional({ANY: str}),
}

COLLECTOR = "collector"
"""The broker's user that may read every witness's batches."""


def broker_users(secrets: Path) -> dict[str, str]:
    """Return user -> password of everybody whom the broker lets in: the collector, and each witness as SITE/WITNESS."""
    table = config.read(secrets, SECRETS_SCHEMA)
    witnesses = {place: entry["password"] for place, entry in table.get("witness", {}).items()}
    return {**witnesses, **table.get("broker", {})}


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where witnesses and collectors find the broker (host, port) and where it listens."""

    host: str
    port: int
    listen: str


@dataclass(frozen=True, slots=True)
class WitnessSecrets:
    """What one witness shares with us: its broker password and the 32 octets that authenticate acknowledgements."""

    password: str
    ack_secret: bytes


class Fleet:
    """An opened fleet folder."""

    def __init__(self, root: Path, table: config.Table) -> None:
        self.root = root
        self.name: str = table["fleet"]["name"]
        self.contact: str = table["fleet"].get("contact", "")
        broker = table["broker"]
        self.broker = BrokerAddress(broker["host"], broker["port"], broker.get("listen", "0.0.0.0"))
        self.ledger_url: str = table.get("ledger", {}).get("url", "sqlite:ledger.sqlite")
        timestamps = table.get("timestamps", {})
        self.timestamp_url: str | None = timestamps.get("url")
        self.reminders: config.Table = table.get("reminders", {})
        self.timestamp_root: Path | None = root / timestamps["root"] if "root" in timestamps else None

    @classmethod
    def open(cls, path: Path | str = ".") -> Fleet:
        """Return the fleet in a folder. Raises CannotDo where there is none, UsageProblem for a wrong config."""
        root = Path(path)
        if not (root / "fleet.toml").exists():
            raise CannotDo("no fleet.toml here", str(root.resolve()), "linewitness init FOLDER, or --fleet FOLDER")
        table = config.read(root / "fleet.toml", FLEET_SCHEMA)
        port = table["broker"]["port"]
        if not 1 <= port <= 65535:
            raise UsageProblem(f"wanted a port 1..65535, got {port}", f"{root / 'fleet.toml'}: broker: port", "8883")
        return cls(root, table)

    # --- folders and files ------------------------------------------------------------------------------------------

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def contracts(self) -> Path:
        return self.root / "contracts"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def dossiers(self) -> Path:
        return self.root / "dossiers"

    @property
    def ca_pem(self) -> Path:
        return self.keys / "ca.pem"

    # --- the fleet key ----------------------------------------------------------------------------------------------

    @cached_property
    def key(self) -> Ed25519PrivateKey:
        """The fleet's private key. Raises CannotDo where it is absent, unreadable or no Ed25519 key."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        path = self.keys / "fleet.key"
        try:
            key = load_pem_private_key(path.read_bytes(), None)
        except OSError as e:
            raise cannot_access(e, path, "restore the fleet key from its backup") from e
        except (ValueError, TypeError) as e:
            raise CannotDo("not a private key in PEM", str(path), "restore the fleet key from its backup") from e
        if not isinstance(key, Ed25519PrivateKey):
            raise CannotDo("not an Ed25519 key", str(path), "restore the fleet key from its backup")
        return key

    @cached_property
    def public_key(self) -> bytes:
        """The fleet's public key, 32 octets."""
        return self.key.public_key().public_bytes_raw()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the fleet's public key in hex: what a verifier is told by another way."""
        return hashlib.sha256(self.public_key).hexdigest()

    def sign(self, message: bytes) -> bytes:
        """Return the fleet's Ed25519 signature of message, 64 octets."""
        return self.key.sign(message)

    # --- the ledger and the sites -----------------------------------------------------------------------------------

    def ledger(self) -> Ledger:
        """Open the ledger (the caller closes it: it is a context manager). Raises CannotDo."""
        from linewitness import ledger

        return ledger.open(self.ledger_url, self.root)

    def site(self, name: str) -> Site:
        """Return one site. Raises UsageProblem for a name that has no file."""
        from linewitness.site import Site

        path = self.root / "sites" / f"{name}.toml"
        if not path.exists():
            raise UsageProblem(f"no site '{name}'", str(path), "linewitness site list")
        return Site.read(path)

    def sites(self) -> list[Site]:
        """Return all sites by name."""
        from linewitness.site import Site

        return [Site.read(path) for path in sorted((self.root / "sites").glob("*.toml"))]

    # --- secrets ----------------------------------------------------------------------------------------------------

    def secrets(self) -> config.Table:
        """Return secrets.toml as it is now."""
        return config.read(self.root / "secrets.toml", SECRETS_SCHEMA)

    def secret(self, name: str) -> str:
        """Return the secret that a plan or a site names as secret:NAME. Raises CannotDo."""
        named: dict[str, str] = self.secrets().get("named", {})
        if name not in named:
            raise CannotDo(f"no secret '{name}'", str(self.root / "secrets.toml"), f'[named] {name} = "..."')
        return named[name]

    def set_secret(self, name: str, value: str) -> None:
        """Keep value as secret:NAME."""
        table = self.secrets()
        table.setdefault("named", {})[name] = value
        self._write_secrets(table)

    def broker_password(self, user: str = COLLECTOR) -> str:
        """Return the password of one of the broker's own users. Raises CannotDo."""
        passwords: dict[str, str] = self.secrets().get("broker", {})
        if user not in passwords:
            raise CannotDo(f"no password for '{user}'", str(self.root / "secrets.toml"), "linewitness init FLEET")
        return passwords[user]

    def witness_secrets(self, site: str, witness: str) -> WitnessSecrets | None:
        """Return what a witness shares with us, or None."""
        return self.witnesses_with_secrets().get((site, witness))

    def make_witness_secrets(self, site: str, witness: str) -> WitnessSecrets:
        """Return what a witness shares with us, made now where it has nothing yet."""
        known = self.witness_secrets(site, witness)
        if known is None:
            known = WitnessSecrets(randomness.token_urlsafe(18), randomness.token_bytes(32))
            table = self.secrets()
            entry = {"password": known.password, "ack_secret": known.ack_secret.hex()}
            table.setdefault("witness", {})[f"{site}/{witness}"] = entry
            self._write_secrets(table)
        return known

    def witnesses_with_secrets(self) -> dict[tuple[str, str], WitnessSecrets]:
        """Return the secrets of all witnesses by (site, witness)."""
        found = {}
        for place, entry in self.secrets().get("witness", {}).items():
            site, _, witness = place.partition("/")
            try:
                found[site, witness] = WitnessSecrets(entry["password"], bytes.fromhex(entry["ack_secret"]))
            except ValueError as e:
                where = f"{self.root / 'secrets.toml'}: witness: {place}"
                raise UsageProblem("ack_secret is not hex", where, "linewitness witness flash makes a new one") from e
        return found

    def forget_witness(self, site: str, witness: str) -> None:
        """Remove what a witness shares with us, so that the broker no longer lets it in."""
        table = self.secrets()
        if table.get("witness", {}).pop(f"{site}/{witness}", None) is not None:
            self._write_secrets(table)

    def _write_secrets(self, table: config.Table) -> None:
        config.write(self.root / "secrets.toml", SECRETS_HEADING + config.dumps(table), secret=True)


SECRETS_HEADING = "# Secrets of this fleet. Never share this file; restart the broker after a change by hand.\n\n"
