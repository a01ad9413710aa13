"""What this witness is and whom it talks to: /config.json and /plan.cbor, read once at boot and checked field by field.

    {"site": "leeds", "witness": "desk", "board": "pico-w",
     "network": {"kind": "wifi", "ssid": "...", "password": "..."},
     "broker": {"host": "...", "port": 8883, "tls": true, "user": "...", "password": "...", "ca": "/ca.der"},
     "ack_secret": "<64 hex digits>", "ntp": ["host", ...], "resolvers": ["address", ...],
     "secrets": {"name": "text", ...}, "hosts": {"private:<32 hex digits>": "address", ...}}

secrets are those that the plan names (a STAMP key in hex, an SNMP community, a SIP password); hosts are the addresses
of persons' devices behind the hashes that stand for them in the plan. Both may be left out.

A file that does not fit raises ConfigProblem, whose text is one line: what, where, what to try. main.py needs that
class before all else, so nothing of ours is imported with this module.
"""

import json
from collections import namedtuple

Config = namedtuple(
    "Config",
    ("site", "witness", "board", "network", "broker", "ack_secret", "ntp", "resolvers", "secrets", "hosts"),
)
"""site, witness, board: text; network, broker: dicts as above; ack_secret: 32 octets; ntp, resolvers: lists of text;
secrets, hosts: dicts of text."""


class ConfigProblem(Exception):
    """A file of the witness does not say what it must; the text says what, where and what to try."""

    def __init__(self, what: str, where: str, attempt: str) -> None:
        super().__init__("%s (%s); try: %s" % (what, where, attempt))


def _problem(what: str, where: str) -> ConfigProblem:
    return ConfigProblem(what, where, "correct the site file on the host and run `linewitness witness flash` again")


def load_config(path: str) -> Config:
    """Return the Config of a JSON file. Raises ConfigProblem."""
    try:
        with open(path) as file:
            fields = json.load(file)
    except OSError:
        raise _problem("no configuration", path)
    except ValueError:
        raise _problem("not JSON", path)
    if not isinstance(fields, dict):
        raise _problem("not a JSON object", path)
    return _check(fields, path)


_FIELDS = (
    ("site", str), ("witness", str), ("board", str), ("network", dict), ("broker", dict), ("ack_secret", str),
    ("ntp", list), ("resolvers", list),
)  # fmt: skip
_OPTIONAL = ("secrets", "hosts")  # dicts of text
_BROKER = (("host", str), ("port", int), ("tls", bool), ("user", str), ("password", str), ("ca", str))


def _typed(fields: dict, wanted: tuple, path: str, prefix: str) -> None:
    for name, kind in wanted:
        if name not in fields:
            raise _problem("%s%s is missing" % (prefix, name), path)
        if not isinstance(fields[name], kind) or (kind is int and isinstance(fields[name], bool)):
            raise _problem("%s%s is not a %s" % (prefix, name, kind.__name__), path)
    for name in fields:
        if name not in [known for known, _ in wanted]:
            raise _problem("%s%s is no key of ours" % (prefix, name), path)


def _check(fields: dict, path: str) -> Config:
    tables = [_texts(fields.pop(name, {}), path, name) for name in _OPTIONAL]
    _typed(fields, _FIELDS, path, "")
    for name in ("site", "witness"):
        if not _is_name(fields[name]):
            raise _problem("%s: wanted letters, digits, '-' and '_', got %r" % (name, fields[name]), path)
    kind = fields["network"].get("kind")
    if kind not in ("wifi", "ethernet"):
        raise _problem("network.kind: wanted wifi or ethernet, got %r" % (kind,), path)
    if kind == "wifi" and not isinstance(fields["network"].get("ssid"), str):
        raise _problem("network.ssid is missing", path)
    _typed(fields["broker"], _BROKER, path, "broker.")
    try:
        secret = bytes.fromhex(fields["ack_secret"])
    except ValueError:
        secret = b""
    if len(secret) != 32:
        raise _problem("ack_secret: wanted 64 hex digits", path)
    return Config(
        fields["site"], fields["witness"], fields["board"], fields["network"], fields["broker"], secret,
        fields["ntp"], fields["resolvers"], tables[0], tables[1],
    )  # fmt: skip


def _texts(table: object, path: str, name: str) -> dict:
    if not isinstance(table, dict):
        raise _problem("%s is not a dict" % name, path)
    for key in table:
        if not isinstance(table[key], str):
            raise _problem("%s.%s is not a str" % (name, key), path)
    return table


def _is_name(text: str) -> bool:
    """Whether text can stand in an MQTT topic and in the signed place without a second meaning."""
    if not text:
        return False
    for letter in text:
        if not ("a" <= letter <= "z" or "A" <= letter <= "Z" or "0" <= letter <= "9" or letter in "-_."):
            return False
    return True


def check_plan(octets: bytes, site: str, witness: str, path: str):
    """Return the Plan of octets, which must be for this place. Raises ConfigProblem."""
    from linewitness_wire.errors import WireError
    from linewitness_wire.plan import decode_plan

    try:
        plan = decode_plan(octets)
    except WireError as error:
        raise ConfigProblem("not a plan: %s" % error, path, "publish the plan again")
    if plan.site != site or plan.witness != witness:
        raise ConfigProblem(
            "a plan for %s/%s, this is %s/%s" % (plan.site, plan.witness, site, witness), path, "flash its own plan"
        )
    return plan


def empty_plan(site: str, witness: str):
    """Return the plan of a witness that has none: a batch a minute, no targets."""
    from linewitness_wire.plan import Plan

    return Plan(site, witness, 0, 60, [], 1, 1, [], [])


def load_plan(path: str, site: str, witness: str) -> tuple:
    """Return (Plan, its SHA-256) of the file. Raises ConfigProblem."""
    from linewitness_wire.plan import digest

    try:
        with open(path, "rb") as file:
            octets = file.read()
    except OSError:
        raise _problem("no plan", path)
    return check_plan(octets, site, witness, path), digest(octets)
