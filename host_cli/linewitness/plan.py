"""From a site's file to the octets of a witness's plan (linewitness_wire.plan), and back to words.

Segments, methods, roles and codecs are written by the names of linewitness_wire.codes. The same site file gives the
same octets apart from the time of issue; `current` keeps the plan that a witness has while nothing else changed, so
that flashing again changes no hash.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from linewitness.errors import UsageProblem
from linewitness.site import check_host
from linewitness_wire import codes
from linewitness_wire import plan as wire
from linewitness_wire.errors import WireError

if TYPE_CHECKING:
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
}

WANTED = {
    codes.METHOD_DNS: ("query",),
    codes.METHOD_STAMP: ("packets", "interval_ms", "payload_octets", "codec", "buffer_ms"),
    codes.METHOD_TCP: ("port",),
}
"""What a target of a method can't do without."""


def compile_plan(site: Site, witness: str, issued_utc_us: int) -> bytes:
    """Return the octets of the plan for one witness of a site. Raises UsageProblem naming the target and key."""
    where = f"sites/{site.name}.toml"
    names = [target["name"] for target in site.targets]
    for name in names:
        if names.count(name) > 1:
            raise UsageProblem(f"two targets are called '{name}'", where, "another name for one of them")
    if not site.plan["time_servers"]:
        hint = "three servers that the branch can reach"
        raise UsageProblem("no time server: nothing could be placed in time", f"{where}: plan: time_servers", hint)
    plan = wire.Plan(
        site.name,
        witness,
        issued_utc_us,
        site.plan["batch_s"],
        [_target(target, f"{where}: target '{target['name']}'") for target in site.targets],
        site.plan["fail_rounds"],
        site.plan["clear_rounds"],
        site.plan["resolvers"],
        site.plan["time_servers"],
    )
    try:
        return wire.encode_plan(plan)
    except WireError as e:
        raise UsageProblem(str(e), where, "the limits in the message") from e


def _target(table: dict[str, Any], where: str) -> wire.Target:
    segment = _code(codes.SEGMENT_NAMES, table["segment"], f"{where}: segment")
    method = _code(codes.METHOD_NAMES, table["method"], f"{where}: method")
    role = _code(codes.ROLE_NAMES, table.get("role", "subject"), f"{where}: role")
    for key in WANTED.get(method, ()):
        if key not in table:
            raise UsageProblem(f"key '{key}' is missing", where, f"{key} = ...")
    check_host(table["host"], f"{where}: host")
    options = {number: _option(key, table[key], where) for key, number in OPTIONS.items() if key in table}
    period_ms = table.get("period_ms", 10_000)
    return wire.Target(
        *(table["name"], segment, method, role, table["host"], table.get("port", 0), period_ms),
        *(table.get("fast_period_ms", min(period_ms, 1_000)), table.get("timeout_ms", 1_000), options),
    )


def _option(key: str, value: Any, where: str) -> Any:
    if key == "codec":
        return _code(codes.CODEC_NAMES, value, f"{where}: codec")
    return int(value) if isinstance(value, bool) else value


def _code(names: Sequence[str], name: str, where: str) -> int:
    if name not in names:
        raise UsageProblem(f"unknown name '{name}'", where, "one of " + ", ".join(names))
    return names.index(name)


def same_but_for_issue(one: bytes, other: bytes) -> bool:
    """Return whether two plans say the same, whenever they were issued."""
    return wire.decode_plan(one)._replace(issued_utc_us=0) == wire.decode_plan(other)._replace(issued_utc_us=0)


def current(book: Ledger, site: Site, witness: str, now_us: int) -> bytes:
    """Return the witness's plan: the newest in the ledger while the site's file says the same, else a new one, kept.

    Kept as an item of kind "plan", name SITE/WITNESS, whose content is the plan and whose SHA-256 is in the batches.
    """
    name = f"{site.name}/{witness}"
    made = compile_plan(site, witness, now_us)
    newest = book.newest("plan", name)
    if newest is not None and same_but_for_issue(newest.content, made):
        return newest.content
    book.add_item("plan", name, made, now_us)
    return made


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
