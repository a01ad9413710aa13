"""A second verifier, written from docs/wire-format.md alone: slow, plain, and without a line of linewitness in it.

It shares only libraries nobody doubts: cbor2 for CBOR, cryptography for the Ed25519 equation, zipfile, and openssl for
the signature of timestamps. result() gives the exit code of section 14; the tests hold it against the real verifier.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import subprocess
import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

L = 2**252 + 27742317777372353535851937790883648493
NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
U16, U32, U48, U63 = 2**16 - 1, 2**32 - 1, 2**48 - 1, 2**63 - 1


class No(Exception):
    """Refused."""


def want(condition: object, what: str) -> None:
    if not condition:
        raise No(what)


def sha(octets: bytes) -> bytes:
    return hashlib.sha256(octets).digest()


def integer(value: Any, low: int, high: int) -> int:
    want(type(value) is int and low <= value <= high, f"integer {value!r}")
    return value


def octets(value: Any, n: int) -> bytes:
    want(type(value) is bytes and len(value) == n, f"{n} octets")
    return value


def read(data: bytes) -> Any:
    """Section 2: one item; what is encoded again must be the same octets."""
    try:
        value = cbor2.loads(data)
    except Exception as e:
        raise No("cbor") from e
    want(cbor2.dumps(value, canonical=True) == data, "deterministic")
    return value


def fields(data: bytes, n: int, newest: int = 1) -> dict[int, Any]:
    value = read(data)
    want(type(value) is dict and all(type(k) is int for k in value), "map")
    want(sorted(value) == list(range(n)) and type(value[0]) is int and 1 <= value[0] <= newest, "keys or version")
    return value


def body(data: bytes, span: int) -> dict[int, Any]:
    """Section 5: the readings of version 2 in full. (Types and ranges are left to the first verifier.)"""
    b = fields(data, 3, 2)
    want(type(b[1]) is list and type(b[2]) is list, "arrays")
    if b[0] == 2:
        target = -1
        for i, short in enumerate(b[1]):
            full = b[1][i] = in_full(short, target, span)
            want(not any(same(full, {k: v for k, v in short.items() if k != key}, target, span) for key in short),
                 "states what it would be without")  # fmt: skip
            target = full[0]
    return b


def same(full: dict[int, Any], less: dict[int, Any], target: int, span: int) -> bool:
    """Whether a reading that leaves out one field more says the same."""
    try:
        other = in_full(less, target, span)
    except (No, TypeError, IndexError):
        return False
    counts = dict.fromkeys((8, 10, 11, 12, 13), 0)
    if 17 in full and 17 not in other and nothing_lost(other):
        other[17] = [0, 0, 0, full[17][3], 0]
    return counts | full == counts | other


def nothing_lost(full: dict[int, Any]) -> bool:
    return {3, 5, 14} <= full.keys() and full[4] - full.get(10, 0) == full[3] - full.get(8, 0)


def in_full(short: Any, target: int, span: int) -> dict[int, Any]:
    want(type(short) is dict, "reading")
    r: dict[int, Any] = {0: target + 1, 1: 0} | short
    r = {2: span - r[1]} | r
    if 23 in r:
        r = {24: r[2]} | r
    if 3 in r:
        r = {4: r[3] - r.get(8, 0) if 5 in r else 0} | r
    if 5 in r:
        least, mean, p95, most = r[5]
        r[5] = [least, least + mean, least + p95, least + p95 + most]
    if {3, 5, 14} <= r.keys():
        r = {15: [r[5][2] - r[5][0], r[5][3] - r[5][0]]} | r
        if r[4] == r[3]:
            r = {16: [0, 0]} | r
        if nothing_lost(r):
            r = {18: 1000} | r
    want(r[2] >= 0, "span")
    return r


def opened(cose: bytes, key: bytes, aad: bytes) -> bytes:
    """Sections 3 and 7."""
    want(cose[:8] == bytes.fromhex("d2844da201320448") and cose[16:17] == b"\xa0", "form")
    want(cose[8:16] == sha(key)[:8], "kid")
    payload, signature = cose[17:-66], cose[-64:]
    want(cose[-66:-64] == b"\x58\x40", "signature's form")
    payload = read(payload)
    want(type(payload) is bytes, "payload")
    want(int.from_bytes(signature[32:], "little") < L, "S")
    message = cbor2.dumps(["Signature1", cose[3:16], aad, payload])
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError) as e:
        raise No("signature") from e
    return payload


def header(data: bytes) -> dict[int, Any]:
    """Section 4."""
    want(len(data) <= 256, "size")
    h = fields(data, 12)
    integer(h[1], 1, U32), integer(h[3], 1, U32), integer(h[4], 0, U63), integer(h[5], h[4], U63)
    for key in (2, 7, 8, 9):
        octets(h[key], 32)
    want(type(h[6]) is list and len(h[6]) == 4, "clock")
    utc, bound, source, age = h[6]
    if integer(source, 0, 1) == 0:
        want((utc, bound, age) == (None, None, None), "clock without source")
    else:
        integer(utc, 0, U63), integer(bound, 0, U48), integer(age, 0, U32)
    want(type(h[10]) is list and len(h[10]) == 3, "counts")
    integer(h[10][0], 0, U16), integer(h[10][1], 0, U16), integer(h[10][2], 0, 8192)
    if h[11] is not None:
        octets(h[11], 32)
    return h


class Verifier:
    def __init__(self, data: bytes, fingerprint: str | None, root: Path | None) -> None:
        self.data, self.fingerprint, self.root = data, fingerprint, root
        self.incomplete = fingerprint is None or root is None

    def result(self) -> int:
        try:
            self.files = self.archive()
            self.manifest()
            self.enrolments()
            self.checkpoints()
            self.batches()
            self.plans()
            self.summary()
        except No:
            return 3
        return 4 if self.incomplete else 0

    def archive(self) -> dict[str, bytes]:
        try:
            with zipfile.ZipFile(io.BytesIO(self.data)) as z:
                return {name: z.read(name) for name in z.namelist()}
        except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, ValueError) as e:
            raise No("zip") from e

    def manifest(self) -> None:
        cose = self.files["manifest.cose"]
        m = fields(read(cose[17:-66]), 6)
        (self.from_us, self.to_us), self.key, listed, self.sites = m[2], octets(m[3], 32), m[4], m[5]
        opened(cose, self.key, b"linewitness/1/dossier")
        want(self.fingerprint in (None, sha(self.key).hex()), "origin")
        got = [[n, len(c), sha(c)] for n, c in self.files.items() if n != "manifest.cose"]
        want(listed == got and listed == sorted(listed), "files")
        pem = base64.b64encode(bytes.fromhex("302a300506032b6570032100") + self.key).decode()
        pem = f"-----BEGIN PUBLIC KEY-----\n{pem}\n-----END PUBLIC KEY-----\n"
        want(self.files["fleet.pub"] == pem.encode(), "pub")

    def named(self, folder: str) -> list[str]:
        return [name for name in self.files if name.startswith(folder)]

    def enrolments(self) -> None:
        self.keys: dict[bytes, tuple[str, str, bytes, int]] = {}
        for name in self.named("enrolments/"):
            e = fields(opened(self.files[name], self.key, b"linewitness/1/enrolment"), 7)
            want(NAME.fullmatch(e[1]) and NAME.fullmatch(e[2]), "name")
            kid = sha(octets(e[3], 32))[:8]
            want(name == f"enrolments/{e[1]}.{e[2]}.{kid.hex()}.cose", "label")
            self.keys[kid] = (e[1], e[2], e[3], e[5])

    def checkpoints(self) -> None:
        self.stamps: list[dict[str, Any]] = []
        for n in sorted({int(re.split(r"[/.]", name)[1]) for name in self.named("checkpoints/")}):
            statement, tsr = self.files.get(f"checkpoints/{n}.cbor"), self.files.get(f"checkpoints/{n}.tsr")
            proofs = self.files.get(f"checkpoints/{n}.proofs")
            want(None not in (statement, tsr, proofs), "three files")
            s = fields(statement, 6)
            want(sha(statement) in tsr, "imprint")
            self.openssl(statement, tsr)
            when = re.search(rb"\x18\x0f(\d{14})Z", tsr)
            want(when, "genTime")
            gen = datetime.strptime(when.group(1).decode(), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
            heads = {}
            for leaf, index, path in read(proofs):
                want(type(leaf) is bytes and all(type(node) is bytes for node in path), "proof")
                self.prove(leaf, index, path, s)
                value = read(leaf)
                want((value[0] == 0) == (index < s[5]), "heads first")
                if value[0] == 0:
                    heads[value[3]] = value
            self.stamps.append({"n": n, "s": s, "octets": statement, "anchor": sha(tsr), "heads": heads,
                                "gen": int(gen.timestamp()) * 1_000_000})  # fmt: skip
        for a, b in zip(self.stamps, self.stamps[1:], strict=False):
            want(b["n"] != a["n"] + 1 or b["s"][4] == sha(a["octets"]), "previous statement")
            for kid in a["heads"].keys() & b["heads"].keys():
                want(a["heads"][kid][4] <= b["heads"][kid][4], "head goes back")
        want(all((s["n"] == 1) == (s["s"][4] is None) for s in self.stamps), "first statement")
        if self.stamps:
            want(len(self.stamps[-1]["heads"]) == self.stamps[-1]["s"][5], "witness left out")
        for stamp in self.stamps:
            for kid, head in stamp["heads"].items():
                want(kid in self.keys and self.keys[kid][:2] == (head[1], head[2]), "head of nobody")
        if not self.stamps or self.stamps[-1]["gen"] < self.to_us:
            self.incomplete = True

    def openssl(self, statement: bytes, tsr: bytes) -> None:
        if self.root is None:
            return
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "d").write_bytes(statement)
            (Path(folder) / "t").write_bytes(tsr)
            command = ["openssl", "ts", "-verify", "-data", "d", "-in", "t", "-CAfile", str(self.root)]
            want(subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0, "timestamp")

    def prove(self, leaf: bytes, index: int, path: list[bytes], s: dict[int, Any]) -> None:
        """RFC 9162 2.1.3.2, told by recursion: which half of the tree is the leaf in?"""

        def up(index: int, size: int, rest: list[bytes]) -> bytes:
            if size == 1:
                want(not rest, "path too long")
                return sha(b"\0" + leaf)
            want(rest, "path too short")
            k = 1
            while 2 * k < size:
                k *= 2
            if index < k:
                return sha(b"\1" + up(index, k, rest[:-1]) + rest[-1])
            return sha(b"\1" + rest[-1] + up(index - k, size - k, rest[:-1]))

        want(0 <= index < s[2], "index")
        want(up(index, s[2], path) == s[3], "root")

    def batches(self) -> None:
        base = next((s for s in reversed(self.stamps) if s["gen"] <= self.from_us), None)
        anchors = {s["anchor"]: s for s in self.stamps}
        self.chains: dict[bytes, list[tuple[dict[int, Any], dict[int, Any] | None]]] = {}
        known = {f"batches/{site}.{name}.{kid.hex()}.cborseq" for kid, (site, name, _, _) in self.keys.items()}
        want(set(self.named("batches/")) <= known, "batches of nobody")
        for kid, (site, name, key, _) in self.keys.items():
            chain = self.chains[kid] = []
            if self.sites and site not in self.sites:
                self.incomplete = True
                continue
            stream = io.BytesIO(self.files.get(f"batches/{site}.{name}.{kid.hex()}.cborseq", b""))
            digests: dict[int, bytes] = {}
            last = None
            while stream.tell() < len(stream.getbuffer()):
                start = stream.tell()
                try:
                    cose, octets_of_body = cbor2.load(stream, read_size=1)
                except Exception as e:
                    raise No("sequence") from e
                want(cbor2.dumps([cose, octets_of_body]) == stream.getvalue()[start : stream.tell()], "deterministic")
                h = header(opened(cose, key, f"linewitness/1/{site}/{name}".encode()))
                if last is None:
                    digests[h[1] - 1] = h[2]
                    want(h[1] > 1 or h[2] == bytes(32), "first")
                else:
                    want(h[1] == last[1] + 1 and h[2] == digests[last[1]], "chain")
                    want(h[3] > last[3] or (h[3] == last[3] and h[4] >= last[5]), "backwards")
                digests[h[1]], last = sha(cose), h
                self.incomplete |= octets_of_body is None
                b = None
                if octets_of_body is not None:
                    want(sha(octets_of_body) == h[9], "body")
                    b = body(octets_of_body, h[5] - h[4])
                    want(h[10] == [len(b[1]), len(b[2]), len(octets_of_body)], "counts")
                chain.append((h, b))
                self.time(kid, h, anchors)
                self.incomplete |= f"plans/{h[7].hex()}.cbor" not in self.files
            self.complete(kid, base, digests, chain)

    def time(self, kid: bytes, h: dict[int, Any], anchors: dict[bytes, dict[str, Any]]) -> None:
        utc, bound, source, _ = h[6]
        if h[11] is not None:
            anchor = anchors.get(h[11])
            if anchor is None:
                self.incomplete = True
            else:
                want(kid not in anchor["heads"] or anchor["heads"][kid][4] < h[1], "anchor covers it")
                want(source == 0 or utc + bound >= anchor["gen"] - 1_000_000, "before its anchor")
        covers = [s["gen"] + 2_000_000 for s in self.stamps if kid in s["heads"] and s["heads"][kid][4] >= h[1]]
        want(not covers or source == 0 or utc - bound <= min(covers), "after its timestamp")
        self.incomplete |= not covers

    def complete(self, kid: bytes, base: dict[str, Any] | None, digests: dict[int, bytes], chain: list[Any]) -> None:
        after = base["heads"][kid][4] if base and kid in base["heads"] else 0
        heads = [s["heads"][kid] for s in self.stamps if kid in s["heads"]]
        greatest = max([after, *(head[4] for head in heads)])
        if chain or greatest > after:
            want(set(range(after + 1, greatest + 1)) <= {h[1] for h, _ in chain}, "missing")
            want(not chain or chain[0][0][1] <= after + 1, "begins too late")
        for head in heads:
            want(head[4] < after or head[4] not in digests or digests[head[4]] == head[5], "another batch")

    def plans(self) -> None:
        for name in self.named("plans/"):
            digest, kind = name.removeprefix("plans/").split(".")
            content = self.files[name]
            octets_of = content if kind == "cbor" else opened(content, self.key, b"linewitness/1/plan")
            want(sha(octets_of).hex() == digest, "plan")
            plan = fields(octets_of, 10)
            want((plan[1], plan[2]) in {key[:2] for key in self.keys.values()}, "plan of nobody")

    def summary(self) -> None:
        try:
            said = json.loads(self.files["summary.json"])
        except ValueError as e:
            raise No("json") from e
        want((said["version"], said["from_utc_us"], said["to_utc_us"]) == (1, self.from_us, self.to_us), "summary")
        order = sorted(self.keys, key=lambda kid: (*self.keys[kid][:2], kid))
        want([w["kid"] for w in said["witnesses"]] == [kid.hex() for kid in order], "witnesses")
        for kid, w in zip(order, said["witnesses"], strict=True):
            headers = [h for h, _ in self.chains[kid]]
            want(w["batches"] == len(headers), "batches")
            want(w["last_seq"] == (headers[-1][1] if headers else None), "last_seq")
            moments: set[int] = set()  # in seconds: enough for clocks whose seconds are whole
            for h in headers:
                if h[6][0] is not None:
                    start = h[6][0] - (h[5] - h[4])
                    moments.update(range(max(start, self.from_us), min(h[6][0], self.to_us), 1_000_000))
            want(w["covered_s"] == len(moments), "covered")
        self.incomplete |= not any(w["covered_s"] for w in said["witnesses"] if w["shown"])
