"""A dossier's manifest: which files it has, for which period and sites, signed by the fleet key.

    {0: version 1, 1: created_us, 2: [from_us, to_us], 3: fleet public key, 4: [[name, size, sha256], ...],
     5: [site, ...]}

UTC in microseconds since 1970; the period is [from_us, to_us). Field 4 lists every file of the archive but
manifest.cose, in their order, which is the order of their names. Field 5 names the sites whose batches are shown, []
for all; of the others the dossier shows who was enrolled and how far their chains had come.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from linewitness.evidence.fields import UTC_MAX_US, decode_fields, encode_fields, items, number, octets_of
from linewitness.evidence.signed import AAD_DOSSIER, Signer
from linewitness_wire import cose
from linewitness_wire.errors import OutOfRange, WireError

NAME = "manifest.cose"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the dossier."""

    name: str
    size: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the fleet signed."""

    created_us: int
    from_us: int
    to_us: int
    fleet_key: bytes
    files: tuple[Entry, ...]
    sites: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the fleet's public key in hex."""
        return hashlib.sha256(self.fleet_key).hexdigest()


def entries(files: Sequence[tuple[str, bytes]]) -> tuple[Entry, ...]:
    """Return the entries of (name, content) pairs."""
    return tuple(Entry(name, len(content), hashlib.sha256(content).digest()) for name, content in files)


def seal_manifest(manifest: Manifest, fleet: Signer) -> bytes:
    """Return the signed manifest."""
    m = manifest
    files = [[entry.name, entry.size, entry.sha256] for entry in m.files]
    return fleet.seal(encode_fields(m.created_us, [m.from_us, m.to_us], m.fleet_key, files, list(m.sites)), AAD_DOSSIER)


def decode_manifest(octets: bytes) -> Manifest:
    """Return the Manifest of a payload. Raises a WireError."""
    created_us, period, fleet_key, files, sites = decode_fields(octets, "manifest", (int, list, bytes, list, list))
    from_us, to_us = items(period, (int, int), "manifest: period")
    for value, what in ((created_us, "created_us"), (from_us, "from_us"), (to_us, "to_us")):
        number(value, 0, UTC_MAX_US, f"manifest: {what}")
    if from_us >= to_us:
        raise OutOfRange(f"manifest: the period ends ({to_us}) before it begins ({from_us})")
    octets_of(fleet_key, 32, "manifest: fleet key")
    listed = [Entry(*items(entry, (str, int, bytes), "manifest: file")) for entry in files]
    names = [entry.name for entry in listed]
    if names != sorted(set(names)):
        raise OutOfRange("manifest: the files are not in the order of their names, or one is named twice")
    for site in items(sites, (str,) * len(sites), "manifest: sites"):
        cose.check_name(site, "manifest: site")
    return Manifest(created_us, from_us, to_us, fleet_key, tuple(listed), tuple(sites))


def peek_manifest(octets: bytes) -> Manifest:
    """Return the Manifest inside a COSE_Sign1 whose signature has yet to be checked. Raises a WireError."""
    return decode_manifest(cose.split(octets).payload)


def parse_fingerprint(text: str) -> str:
    """Return 64 hex digits from a fingerprint that may be grouped by spaces, colons or dashes. Raises a WireError."""
    plain = text.translate({ord(c): None for c in " :-\n\t"}).lower().removeprefix("sha256")
    if len(plain) != 64 or any(c not in "0123456789abcdef" for c in plain):
        raise WireError(f"wanted 64 hex digits (SHA-256 of the fleet's public key), got {text!r}")
    return plain
