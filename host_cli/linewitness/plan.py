"""From a site's file to the octets of a witness's plan (linewitness_wire.plan), and back to words.

The manners towards a provider are divided here: all witnesses of a site together send it at most one request a second,
so each of n has a gap of n seconds between its own, and periods are stretched where they ask for more. Devices of the
segment `endpoint` become salted hashes (private.py). On metered access there are no windows and no test calls.

Segments, methods, roles and codecs are written by the names of linewitness_wire.codes. The same site file gives the
same octets apart from the time of issue; `current` keeps the plan that a witness has while nothing else changed, so
that flashing again changes no hash.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from linewitness.errors import UsageProblem
from linewitness.private import is_private, salt_of, secret_name
from linewitness.site import check_host
from linewitness_wire import codes
from linewitness_wire import plan as wire
from linewitness_wire.errors import WireError

if TYPE_CHECKING:
    from linewitness.fleet import Fleet
    from linewitness.ledger import Ledger
    from linewitness.site import Site

OPTIONS = {
    "query": wire.OPTION_NAME,
    "packets": wire.OPTION_PACKETS,
    "interval_ms": wire.OPTION_INTERVAL_MS,
    "payload_octets": wire.OPTION_PAYLOAD,
    "codec": wire.OPTION_CODEC,
    "buffer_ms": wire.OPTION_BUFFER_MS,
    "secret": wire.OPTION_SECRET,
    "fresh": wire.OPTION_FRESH,
    "gap_ms": wire.OPTION_GAP_MS,
    "index": wire.OPTION_INDEX,
    "usual": wire.OPTION_USUAL,
    "member": wire.OPTION_MEMBER,
    "authority": wire.OPTION_AUTHORITY,
    "extension": wire.OPTION_EXTENSION,
    "seconds": wire.OPTION_SECONDS,
    "allowed": wire.OPTION_ALLOWED,
    "register": wire.OPTION_REGISTER,
    "echo": wire.OPTION_ECHO,
}

WANTED = {
    codes.METHOD_DNS: ("query",),
    codes.METHOD_STAMP: ("packets", "interval_ms", "payload_octets", "codec", "buffer_ms"),
    codes.METHOD_TCP: ("port",),
    codes.METHOD_TLS: ("port",),
    codes.METHOD_SNMP: ("secret", "index"),
    codes.METHOD_CALL: ("extension", "seconds", "allowed", "codec", "buffer_ms"),
}
"""What a target of a method can't do without."""

USUAL_MS = {
    codes.METHOD_TLS: (60_000, 4_000),
    codes.METHOD_SIP_TLS: (60_000, 4_000),
    codes.METHOD_SIP_UDP: (10_000, 2_000),
    codes.METHOD_SIP_TCP: (10_000, 2_000),
    codes.METHOD_CALL: (1_800_000, 20_000),
}
"""period_ms and timeout_ms where a target of a method names none; 10,000 and 1,000 for the others."""

CALL_MOST_MS = 46_000  # answer and talk: a call has to fit between two housekeeping slots
WINDOWS = (codes.METHOD_STAMP, codes.METHOD_CALL)
LOCAL = (codes.METHOD_SELF, codes.METHOD_LINK)
POLITE = (codes.SEGMENT_PROVIDER, codes.SEGMENT_CARRIER)
GAP_MS = 1_000  # between two requests to a provider, of all witnesses of a site together
WITNESSES_MAX = 65


def compile_plan(site: Site, witness: str, issued_utc_us: int, salt: bytes = b"", witnesses: int = 1) -> bytes:
    """Return the octets of the plan for one of a site's witnesses. Raises UsageProblem naming the target and key.

    salt: of the site's private hosts (private.salt_of); witnesses: how many share what the provider may be asked.
    """
    where = f"sites/{site.name}.toml"
    names = [target["name"] for target in site.targets]
    for name in names:
        if names.count(name) > 1:
            raise UsageProblem(f"two targets are called '{name}'", where, "another name for one of them")
    if not site.plan["time_servers"]:
        hint = "three servers that the branch can reach"
        raise UsageProblem("no time server: nothing could be placed in time", f"{where}: plan: time_servers", hint)
    tables = [t for t in site.targets if not (site.plan.get("metered") and t["method"] in ("stamp", "call"))]
    targets = [_target(target, salt, f"{where}: target '{target['name']}'") for target in tables]
    plan = wire.Plan(
        site.name,
        witness,
        issued_utc_us,
        site.plan["batch_s"],
        _polite(targets, witnesses, where),
        site.plan["fail_rounds"],
        site.plan["clear_rounds"],
        site.plan["resolvers"],
        site.plan["time_servers"],
    )
    try:
        return wire.encode_plan(plan)
    except WireError as e:
        raise UsageProblem(str(e), where, "the limits in the message") from e


def _target(table: dict[str, Any], salt: bytes, where: str) -> wire.Target:
    segment = _code(codes.SEGMENT_NAMES, table["segment"], f"{where}: segment")
    method = _code(codes.METHOD_NAMES, table["method"], f"{where}: method")
    role = _code(codes.ROLE_NAMES, table.get("role", "subject"), f"{where}: role")
    for key in WANTED.get(method, ()):
        if key not in table:
            raise UsageProblem(f"key '{key}' is missing", where, f"{key} = ...")
    check_host(table["host"], f"{where}: host")
    host = _host(table, method, salt, where)
    options = {number: _option(key, table[key], where) for key, number in OPTIONS.items() if key in table}
    name = secret_name(table)
    if name is not None:
        options[wire.OPTION_SECRET] = name
    usual_ms, limit_ms = USUAL_MS.get(method, (10_000, 1_000))
    period_ms, timeout_ms = table.get("period_ms", usual_ms), table.get("timeout_ms", limit_ms)
    if method == codes.METHOD_CALL:
        _check_call(table, timeout_ms, where)
    return wire.Target(
        *(table["name"], segment, method, role, host, table.get("port", 0), period_ms),
        *(table.get("fast_period_ms", min(period_ms, 1_000)), timeout_ms, options),
    )


def _check_call(table: dict[str, Any], timeout_ms: int, where: str) -> None:
    """Return nothing; raise UsageProblem for a call that nobody agreed to or that does not fit between two slots."""
    if table["allowed"] is not True:
        what = f"a call to {table['extension']} that you did not agree to"
        raise UsageProblem(what, f"{where}: allowed", "allowed = true, once its owner and its price are known")
    longest_ms = CALL_MOST_MS - 1000 * int(table["seconds"])
    if timeout_ms > longest_ms:
        what = f"{timeout_ms} ms for the answer is too long"
        raise UsageProblem(what, f"{where}: timeout_ms", f"at most {longest_ms}")


def _host(table: dict[str, Any], method: int, salt: bytes, where: str) -> str:
    """Return the host as the plan has it. Raises UsageProblem."""
    host: str = table["host"]
    if method == codes.METHOD_IGD and host != "gateway":
        raise UsageProblem("only the default gateway is asked by UPnP", f"{where}: host", 'host = "gateway"')
    if not is_private(table) or not host:
        return host
    if "query" in table and method != codes.METHOD_DNS:
        raise UsageProblem("the query would tell the device's address", f"{where}: query", "leave it out")
    if not salt:
        raise UsageProblem("a person's device without a salt to hide it", where, "linewitness plan show")
    return wire.private_host(salt, host)


def _polite(targets: list[wire.Target], witnesses: int, where: str) -> list[wire.Target]:
    """Return the targets with this witness's share of the requests that a provider may be sent."""
    if witnesses > WITNESSES_MAX:
        raise UsageProblem(f"{witnesses} witnesses share one provider", where, f"at most {WITNESSES_MAX} at a site")
    gap_ms = GAP_MS * max(1, witnesses)
    asked = [t for t in targets if t.segment in POLITE and t.method not in (*WINDOWS, *LOCAL)]
    result = []
    for target in targets:
        if target not in asked:
            result.append(target)
            continue
        group = [t for t in asked if (t.segment, t.role) == (target.segment, target.role)]
        share_ppm = sum(gap_ms * 1_000_000 // t.period_ms for t in group)
        period_ms = target.period_ms * max(1_000_000, share_ppm) // 1_000_000
        options = {**target.options, wire.OPTION_GAP_MS: gap_ms}
        fast_ms = max(target.fast_period_ms, gap_ms)
        result.append(target._replace(period_ms=period_ms, fast_period_ms=fast_ms, options=options))
    return result


def _option(key: str, value: Any, where: str) -> Any:
    if key == "codec":
        return _code(codes.CODEC_NAMES, value, f"{where}: codec")
    if key == "usual":
        try:
            return str(ipaddress.IPv4Network(value))
        except ValueError as e:
            raise UsageProblem(str(e), f"{where}: usual", "203.0.113.7 or 203.0.113.0/24") from e
    return int(value) if isinstance(value, bool) else value


def _code(names: Sequence[str], name: str, where: str) -> int:
    if name not in names:
        raise UsageProblem(f"unknown name '{name}'", where, "one of " + ", ".join(names))
    return names.index(name)


def same_but_for_issue(one: bytes, other: bytes) -> bool:
    """Return whether two plans say the same, whenever they were issued."""
    return wire.decode_plan(one)._replace(issued_utc_us=0) == wire.decode_plan(other)._replace(issued_utc_us=0)


def current(book: Ledger, fleet: Fleet, site: Site, witness: str, now_us: int) -> bytes:
    """Return the witness's plan: the newest in the ledger while the site's file says the same, else a new one, kept.

    Kept as an item of kind "plan", name SITE/WITNESS, whose content is the plan and whose SHA-256 is in the batches.
    """
    name = f"{site.name}/{witness}"
    made = compile_plan(site, witness, now_us, salt_of(fleet, site), len(_sharing(fleet, site) | {witness}))
    newest = book.newest("plan", name)
    if newest is not None and same_but_for_issue(newest.content, made):
        return newest.content
    book.add_item("plan", name, made, now_us)
    return made


def _sharing(fleet: Fleet, site: Site) -> set[str]:
    """Return the witnesses of a site: they share what its provider may be asked."""
    return {name for place, name in fleet.witnesses_with_secrets() if place == site.name}


def outdated(book: Ledger, fleet: Fleet, site: Site) -> list[str]:
    """Return the witnesses of a site whose newest plan is not what the site's file, and their number, say now."""
    sharing, salt = _sharing(fleet, site), salt_of(fleet, site)
    found = []
    for witness in sorted(sharing):
        newest = book.newest("plan", f"{site.name}/{witness}")
        made = compile_plan(site, witness, 0, salt, len(sharing))
        if newest is not None and not same_but_for_issue(newest.content, made):
            found.append(witness)
    return found


def describe(octets: bytes) -> dict[str, Any]:
    """Return a plan in words: names for codes, options by their keys in the site's file. Raises a WireError."""
    plan = wire.decode_plan(octets)
    keys = {number: key for key, number in OPTIONS.items()}
    targets = []
    for target in plan.targets:
        words = target._asdict()
        words["segment"] = codes.SEGMENT_NAMES[target.segment]
        words["method"] = codes.METHOD_NAMES[target.method]
        words["role"] = codes.ROLE_NAMES[target.role]
        options = {keys.get(number, str(number)): value for number, value in target.options.items()}
        if "codec" in options:
            options["codec"] = codes.CODEC_NAMES[options["codec"]]
        targets.append({**words, "options": options})
    return {**plan._asdict(), "targets": targets}
