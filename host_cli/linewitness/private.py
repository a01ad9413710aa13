"""What a witness must know and its plan must not say: secrets that the plan names, addresses of persons' devices.

Both go to the board in its configuration over the serial line, never into a plan, a batch or a dossier. In the plan a
device of the segment `endpoint` is a salted hash (linewitness_wire.plan.private_host). The salt is the site's own, kept
as secret:endpoints-SITE: whoever is given it later can check that a hash stands for an address, nobody else can.
"""

from __future__ import annotations

import secrets as randomness
from typing import TYPE_CHECKING

from linewitness.errors import UsageProblem
from linewitness_wire import plan as wire

if TYPE_CHECKING:
    from linewitness.config import Table
    from linewitness.fleet import Fleet
    from linewitness.site import Site

SALT_OCTETS = 16
STAMP_KEY_OCTETS = 16


def is_private(target: Table) -> bool:
    """Whether a target of a site's file is a person's device."""
    return bool(target["segment"] == "endpoint")


def salt_of(fleet: Fleet, site: Site) -> bytes:
    """Return the site's salt, made now where it has none and needs one; empty where it needs none."""
    if not any(is_private(target) for target in site.targets):
        return b""
    name = f"endpoints-{site.name}"
    known = fleet.secrets().get("named", {}).get(name)
    if known is None:
        known = randomness.token_hex(SALT_OCTETS)
        fleet.set_secret(name, known)
    try:
        return bytes.fromhex(known)
    except ValueError:
        where = f"{fleet.root / 'secrets.toml'}: named: {name}"
        raise UsageProblem("the salt is not hexadecimal", where, "openssl rand -hex 16") from None


def private_hosts(fleet: Fleet, site: Site) -> dict[str, str]:
    """Return the addresses behind the private hosts of a site's plan."""
    salt = salt_of(fleet, site)
    hosts = (target["host"] for target in site.targets if is_private(target))
    return {wire.private_host(salt, host): host for host in hosts}


def secret_name(target: Table) -> str | None:
    """Return the name of the secret that a target of a site's file needs, None where it needs none."""
    name: str | None = target.get("secret")
    return None if name is None else name.removeprefix("secret:")


def named_secrets(fleet: Fleet, site: Site) -> dict[str, str]:
    """Return what the targets of a site name as secret. Raises CannotDo for one that is not there, UsageProblem."""
    found = {}
    for target in site.targets:
        name = secret_name(target)
        if name is None:
            continue
        found[name] = fleet.secret(name)
        if target["method"] == "stamp":
            _check_key(found[name], f"{fleet.root / 'secrets.toml'}: named: {name}")
    return found


def _check_key(text: str, where: str) -> None:
    try:
        octets = len(bytes.fromhex(text))
    except ValueError:
        raise UsageProblem("the key is not hexadecimal", where, "openssl rand -hex 32") from None
    if octets < STAMP_KEY_OCTETS:
        raise UsageProblem(f"the key has {octets} octets, {STAMP_KEY_OCTETS} are needed", where, "openssl rand -hex 32")
