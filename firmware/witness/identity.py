"""Who this witness is, for enrolment over the serial line: its public key, with a proof that it holds the private one.

    >>> import witness.identity
    >>> witness.identity.show("<64 hex digits chosen by the host>")
    {"public_key": ..., "kid": ..., "site": ..., "witness": ..., "nonce": ..., "signature": ..., "firmware": ...}

All octets are in hex. The signature is Ed25519 over "linewitness/1/enrol" NUL SITE NUL WITNESS NUL nonce (32 octets).

The firmware's hash, which also stands in every batch, is SHA-256 over, for each file below /lib in the order of their
paths' octets: the path (from /, as "/lib/witness/app.mpy") NUL SHA-256 of the file (32 octets). A board that executes
its firmware in place has the same files below /rom/lib, and the same hash; frozen into an image of MicroPython, the
firmware has no files, and brings the hash of its sources in witness/release.py.
"""

import hashlib
import json
import os

NONCE_OCTETS = 32
LIB = "/lib"
ROM = "/rom"
JOURNAL = "/journal"
CONFIG = "/config.json"


def in_place() -> bool:
    """Whether the firmware is executed from the flash rather than loaded into memory."""
    return not __file__.startswith(LIB)


def firmware_digest() -> bytes:
    """Return the hash of the installed firmware, 32 octets."""
    if not __file__.startswith("/"):
        from .release import DIGEST  # type: ignore[import-not-found]  # made when the firmware is frozen

        return DIGEST
    mount = ROM if in_place() else ""
    whole = hashlib.sha256()
    for path in sorted(_files(mount + LIB)):
        whole.update(path[len(mount) :].encode() + b"\0" + _file_digest(path))
    return whole.digest()


def _files(folder: str) -> list:
    """The paths of all files below a folder; none where there is no such folder."""
    paths: "list[str]" = []
    try:
        entries = list(os.ilistdir(folder))
    except OSError:
        return paths
    for entry in entries:
        path = folder + "/" + entry[0]
        if entry[1] == 0x4000:
            paths.extend(_files(path))
        else:
            paths.append(path)
    return paths


def _file_digest(path: str) -> bytes:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while True:
            octets = file.read(512)
            if not octets:
                return digest.digest()
            digest.update(octets)


def proof_message(site: str, witness: str, nonce: bytes) -> bytes:
    """Return what an enrolment's signature is over."""
    return b"linewitness/1/enrol\0" + site.encode() + b"\0" + witness.encode() + b"\0" + nonce


def statement(journal, site: str, witness: str, nonce: bytes, firmware: bytes) -> dict:
    """Return the enrolment statement of an open journal's key."""
    signature = journal.signer.sign(proof_message(site, witness, nonce))
    return {
        "public_key": journal.signer.public_key.hex(), "kid": journal.kid.hex(), "site": site, "witness": witness,
        "nonce": nonce.hex(), "signature": signature.hex(), "firmware": firmware.hex(),
    }  # fmt: skip


def show(nonce_hex: str) -> None:
    """Print the statement as one line of JSON; makes the key if there is none. Raises ValueError for a bad nonce."""
    from .config import load_config
    from .crypto.ed25519 import Signer
    from .journal import Journal

    nonce = bytes.fromhex(nonce_hex)
    if len(nonce) != NONCE_OCTETS:
        raise ValueError("nonce: wanted %d hex digits, got %d" % (2 * NONCE_OCTETS, len(nonce_hex)))
    config = load_config(CONFIG)
    facts = os.statvfs("/")
    journal = Journal(JOURNAL, facts[0] * facts[3], os.urandom, lambda seed: Signer(seed, os.urandom))
    journal.open(False)
    print(json.dumps(statement(journal, config.site, config.witness, nonce, firmware_digest())))
