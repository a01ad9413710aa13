"""Putting the firmware, its configuration, its plan and the broker's authority onto a board that runs MicroPython.

A board whose image has the firmware frozen in gets none. One that can execute code in place gets it as a ROMFS image
(romfs.py), any other as files in /lib, which it loads into its memory. Only what differs is written, so that doing it
again costs a second and wears no flash. /main.py goes first and comes last: a board that loses power in between comes
up at its prompt, never with half of an old and half of a new program. What was written is read back and compared before
the board is started.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from linewitness.device.firmware import (
    LIB,
    PACKAGES,
    BoardKind,
    architecture,
    board_kinds,
    compile_firmware,
    firmware_digest,
)
from linewitness.device.prompt import Prompt
from linewitness.device.romfs import build_image, deploy, holds, partition_octets
from linewitness.errors import CannotDo, UsageProblem
from linewitness.fleet import Fleet, WitnessSecrets
from linewitness.private import named_secrets, private_hosts
from linewitness.site import Site

MAIN = "/main.py"
CONFIG, PLAN, AUTHORITY = "/config.json", "/plan.cbor", "/ca.der"
_FROZEN = """
import json
try:
    from witness.release import DIGEST
    print(json.dumps(DIGEST.hex()))
except ImportError:
    print(json.dumps(''))
"""
_SPARE_OCTETS = 64 * 1024  # the journal's least


@dataclass(frozen=True, slots=True)
class Installed:
    """What a board holds now: counts of files, octets written, hashes of the firmware and of the plan."""

    board: str
    machine: str
    architecture: str
    written: int
    unchanged: int
    removed: int
    octets: int
    firmware: bytes
    plan: bytes
    in_place: bool  # whether the board executes the firmware from its flash


def choose_board(machine: str, wanted: str | None) -> BoardKind:
    """Return the kind of board: the one wanted, else the one whose machine MicroPython names. Raises UsageProblem."""
    kinds = {kind.name: kind for kind in board_kinds()}
    if wanted is not None:
        if wanted not in kinds:
            raise UsageProblem(f"no board '{wanted}'", "--board", "one of " + ", ".join(kinds))
        return kinds[wanted]
    for kind in kinds.values():
        if machine == kind.machine:
            return kind
    raise UsageProblem(f"can't tell the board from '{machine}'", "--board", "--board with one of " + ", ".join(kinds))


def config_json(fleet: Fleet, site: Site, witness: str, board: str, secrets: WitnessSecrets) -> bytes:
    """Return /config.json of a witness."""
    network = dict(site.network)
    password = network.get("password", "")
    if password.startswith("secret:"):
        network["password"] = fleet.secret(password.removeprefix("secret:"))
    table = {
        "site": site.name,
        "witness": witness,
        "board": board,
        "network": network,
        "broker": {
            "host": fleet.broker.host,
            "port": fleet.broker.port,
            "tls": True,
            "user": f"{site.name}/{witness}",
            "password": secrets.password,
            "ca": AUTHORITY,
        },
        "ack_secret": secrets.ack_secret.hex(),
        "ntp": site.plan["time_servers"],
        "resolvers": site.plan["resolvers"],
        "secrets": named_secrets(fleet, site),
        "hosts": private_hosts(fleet, site),
    }
    return json.dumps(table, sort_keys=True).encode()


def install(
    prompt: Prompt,
    board: str | None,
    network: str,
    files: Callable[[str], dict[str, bytes]],
    started: Callable[[int], None] = lambda octets: None,
    progress: Callable[[int], None] = lambda octets: None,
) -> Installed:
    """Bring the board behind prompt to the firmware and files(board name), and start it. network: wifi or ethernet.

    started gets the octets that will be written, progress those of each piece. Raises CannotDo, UsageProblem.
    """
    facts = prompt.facts()
    march = architecture(facts["mpy"])
    kind = choose_board(facts["machine"], board)
    if network not in kind.networks:
        has = " and ".join(kind.networks)
        raise UsageProblem(
            f"the site is on {network}, a {kind.name} has {has}", "[network] of the site", "another board"
        )
    firmware = compile_firmware(march)
    image = build_image(firmware)
    frozen = bytes.fromhex(prompt.ask(_FROZEN))
    in_place = bool(frozen) or len(image) <= partition_octets(prompt)
    if in_place:
        below_lib = {path: octets for path, octets in firmware.items() if path.startswith(LIB + "/")}
        firmware = {path: octets for path, octets in firmware.items() if path not in below_lib}
    wanted = {**firmware, **files(kind.name)}
    new_image = in_place and not frozen and not holds(prompt, image)
    digests = {path: hashlib.sha256(octets).digest() for path, octets in wanted.items()}
    folders = [f"{LIB}/{package}" for package in PACKAGES]
    there = prompt.hashes(folders, wanted)
    changed = [path for path in wanted if there.get(path) != digests[path]]
    stale = [path for path in there if path not in wanted]
    octets = sum(len(wanted[path]) for path in changed) + (len(image) if new_image else 0)
    _check_space(facts["free"], sum(len(wanted[path]) for path in changed), changed, there, prompt.port)
    if MAIN in there and (changed or stale or new_image):
        prompt.remove(MAIN)
        changed = [*(path for path in changed if path != MAIN), MAIN]
    started(octets)
    if new_image:
        deploy(prompt, image, progress)
    for path in stale:
        prompt.remove(path)
    for path in sorted(changed, key=lambda path: path == MAIN):
        prompt.write(path, wanted[path], progress)
    after = prompt.hashes([LIB], wanted) if changed or stale else prompt.hashes([LIB], ())
    wrong = [path for path in changed if after.get(path) != digests[path]]
    if wrong:
        raise CannotDo(f"{wrong[0]} reads otherwise than written", prompt.port, "another cable or another board")
    if in_place:
        after |= {path: hashlib.sha256(octets).digest() for path, octets in below_lib.items()}
    prompt.restart()
    return Installed(
        *(
            kind.name,
            facts["machine"],
            march or "bytecode",
            len(changed),
            len(wanted) - len(changed),
            len(stale),
            octets,
        ),
        *(frozen or firmware_digest(after), digests[PLAN]),
        in_place,
    )


def _check_space(free: int, octets: int, changed: list[str], there: dict[str, bytes], port: str) -> None:
    replaced = any(path in there for path in changed)  # then some of it comes free, and littlefs will tell
    if not replaced and free < octets + _SPARE_OCTETS:
        what = f"the board has {free // 1024} KiB free, wanted {(octets + _SPARE_OCTETS) // 1024}"
        raise CannotDo(what, port, "remove other files from the board, or take one with more flash")
