"""[reminders] of fleet.toml: who is told, by which channels, and when.

smtp = "mail.example:587"          mail_from, mail_to = ["..."]
mail_security = "starttls"         starttls, tls, none
mail_user, mail_password = "secret:NAME", mail_authority = "keys/mail-ca.pem"
webhook = "https://..."            webhook_token = "secret:NAME"; the address itself may be "secret:NAME"
days_before = [14, 3, 1]           of a deadline
sides = ["provider", ...]          whose failures are told; all where left out
least_s = 0                        a shorter failure is not told
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from linewitness.endpoint import endpoint
from linewitness.errors import UsageProblem
from linewitness.model import Side
from linewitness.reminders.channels import Channel, Mail, Webhook

if TYPE_CHECKING:
    from linewitness.fleet import Fleet

SECRET = "secret:"


@dataclass(frozen=True, slots=True)
class Settings:
    """least_us: the shortest failure that is told."""

    channels: tuple[Channel, ...]
    days_before: tuple[int, ...]
    sides: tuple[Side, ...]
    least_us: int


def settings(fleet: Fleet) -> Settings:
    """Return what fleet.toml says. Raises UsageProblem where no channel is named, CannotDo for a secret not there."""
    table = fleet.reminders
    where = f"{fleet.root / 'fleet.toml'}: reminders"
    channels: list[Channel] = []
    if "smtp" in table:
        channels.append(_mail(fleet, where))
    if "webhook" in table:
        url = _value(fleet, "webhook") or ""
        if not url.startswith(("http://", "https://")):
            raise UsageProblem("wanted an http or https address", f"{where}: webhook", "https://chat.example/hooks/...")
        channels.append(Webhook(url, _value(fleet, "webhook_token")))
    if not channels:
        raise UsageProblem("nobody to remind: neither smtp nor webhook", where, 'smtp = "mail.example:587"')
    sides = table.get("sides", [str(s) for s in Side])
    for name in sides:
        if name not in list(Side):
            raise UsageProblem(f"no side '{name}'", f"{where}: sides", ", ".join(Side))
    days = table.get("days_before", [14, 3, 1])
    if any(d < 0 for d in days):
        raise UsageProblem("a negative number of days", f"{where}: days_before", "[14, 3, 1]")
    return Settings(tuple(channels), tuple(days), tuple(Side(s) for s in sides), table.get("least_s", 0) * 1_000_000)


def _mail(fleet: Fleet, where: str) -> Mail:
    table = fleet.reminders
    for key in ("mail_from", "mail_to"):
        if not table.get(key):
            raise UsageProblem(f"key '{key}' is missing", where, f"add {key} = ...")
    host, port = endpoint(table["smtp"], f"{where}: smtp", "mail.example:587")
    security = table.get("mail_security", "starttls")
    if security not in ("starttls", "tls", "none"):
        raise UsageProblem(f"no security '{security}'", f"{where}: mail_security", "starttls, tls or none")
    user, password = table.get("mail_user"), _value(fleet, "mail_password")
    if password is not None and security == "none":
        raise UsageProblem("a password over an open line", f"{where}: mail_security", "starttls")
    authority = fleet.root / table["mail_authority"] if "mail_authority" in table else None
    return Mail(host, port, security, table["mail_from"], tuple(table["mail_to"]), user, password, authority)


def _value(fleet: Fleet, key: str) -> str | None:
    """Return a value that may be named as secret:NAME; passwords and tokens have to be."""
    value: str | None = fleet.reminders.get(key)
    if value is None:
        return None
    if value.startswith(SECRET):
        return fleet.secret(value.removeprefix(SECRET))
    if key in ("mail_password", "webhook_token"):
        where = f"{fleet.root / 'fleet.toml'}: reminders: {key}"
        raise UsageProblem("a secret in fleet.toml", where, f'{key} = "secret:NAME", NAME in secrets.toml')
    return value
