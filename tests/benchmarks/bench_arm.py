"""The witness's signatures executed on an ARM core: viper SHA-512 and Ed25519 on Debian's armhf MicroPython in QEMU.

    python tests/benchmarks/bench_arm.py [--signatures 100] [--seed 8032]

MicroPython is compiled to ARMv7 machine code by its own viper emitter, from the source file that also goes, compiled
for ARMv6-M, onto the Pico W. Checked, each one failing the benchmark: the digests of all lengths from 0 to 300 octets
equal hashlib's; every signature of a random header of at most 256 octets equals the `cryptography` library's; a
signature of 256 octets leaves at most 350 KB of garbage; no slice between two yields takes more than 1/50 of the
signature's instructions. Instructions are those that QEMU's emulated core executed, read as its run time in each of
many signatures, of which the least counts. Prints a table and, as its last line, one JSON object; baseline is the
limit of 350 KB, ratio the garbage over it. Exits 1 where no ARM MicroPython can be had, and says why.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from debian_vm import Unavailable, fetch
from machine import machine

CRYPTO = Path(__file__).parents[2] / "firmware" / "witness" / "crypto"
GARBAGE_LIMIT_OCTETS = 350_000
SLICES_AT_LEAST = 50
LENGTHS = range(301)

PROGRAM = """
import gc, json, sys, time
from binascii import hexlify, unhexlify
from witness.crypto import sha512 as module
from witness.crypto import sha512_viper
from witness.crypto.ed25519 import Signer
assert module._compress is sha512_viper.compress, "the plain twin was chosen"
jobs = json.load(open("jobs.json"))
digests = [hexlify(module.sha512(bytes([n & 255]) * n)).decode() for n in range(jobs["lengths"])]
blind = bytes((37 * i + 11) & 255 for i in range(64))
signer = Signer(unhexlify(jobs["seed"]), lambda n: blind[:n])
signatures = [hexlify(signer.sign(unhexlify(message))).decode() for message in jobs["messages"]]
message = bytes(256)
gc.collect()
gc.disable()
before = gc.mem_alloc()
signer.sign(message)
garbage = gc.mem_alloc() - before
gc.enable()
least = None
for _ in range(jobs["rounds"]):
    gc.collect()
    times = []
    last = time.ticks_us()
    for _ in signer.sign_slices(message):
        now = time.ticks_us()
        times.append(time.ticks_diff(now, last))
        last = now
    least = times if least is None else [min(a, b) for a, b in zip(least, times)]
print(json.dumps({"mpy": sys.implementation._mpy, "version": sys.implementation.version[:3], "digests": digests,
                  "signatures": signatures, "garbage": garbage, "slices_us": least}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--signatures", type=int, default=100)
    parser.add_argument("--seed", type=int, default=8032, help="of the random messages")
    options = parser.parse_args()
    try:
        command = fetch("armhf")
    except Unavailable as reason:
        raise SystemExit(f"no ARM MicroPython here: {reason}; the ARM path is compiled but was not executed") from None
    chance = random.Random(options.seed)
    seed = chance.randbytes(32)
    messages = [chance.randbytes(chance.randrange(257)) for _ in range(options.signatures)]
    jobs = {"lengths": len(LENGTHS), "seed": seed.hex(), "messages": [m.hex() for m in messages], "rounds": 60}
    with tempfile.TemporaryDirectory(prefix="linewitness-bench-") as folder:
        at = Path(folder)
        shutil.copytree(CRYPTO, at / "witness" / "crypto", ignore=shutil.ignore_patterns("__pycache__"))
        (at / "jobs.json").write_text(json.dumps(jobs))
        (at / "main.py").write_text(PROGRAM)
        done = subprocess.run(
            [*command, "-X", "heapsize=8m", "main.py"], cwd=at, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise SystemExit(f"the ARM machine failed: {(done.stdout + done.stderr).strip()[-500:]}")
    told = json.loads(done.stdout.splitlines()[-1])
    check(told, seed, messages)
    total_us, longest_us = sum(told["slices_us"]), max(told["slices_us"])
    here = machine()
    version = ".".join(str(part) for part in told["version"])
    print(f"{here}; MicroPython {version} of Debian armhf in QEMU, sys.implementation._mpy {told['mpy']}")
    print(f"SHA-512 in viper, {len(LENGTHS)} lengths: equal to hashlib's")
    print(f"Ed25519, {len(messages)} signatures: equal to the cryptography library's")
    print(f"garbage of a signature of 256 octets: {told['garbage']} octets, limit {GARBAGE_LIMIT_OCTETS}")
    print(f"{len(told['slices_us'])} slices, the longest 1/{total_us / longest_us:.0f} of {total_us} us (emulated)")
    figures = {
        "digests": len(LENGTHS), "signatures": len(messages), "garbage_octets": told["garbage"],
        "slices": len(told["slices_us"]), "signature_over_longest_slice": round(total_us / longest_us, 1),
    }  # fmt: skip
    print(json.dumps({
        "benchmark": "arm", "machine": here, "figures": figures, "baseline": GARBAGE_LIMIT_OCTETS,
        "ratio": round(told["garbage"] / GARBAGE_LIMIT_OCTETS, 3),
    }))  # fmt: skip


def check(told: dict, seed: bytes, messages: list[bytes]) -> None:
    """Exit with what is wrong."""
    wanted = [hashlib.sha512(bytes([n & 255]) * n).hexdigest() for n in LENGTHS]
    wrong = [n for n in LENGTHS if told["digests"][n] != wanted[n]]
    if wrong:
        sys.exit(f"SHA-512 is wrong at lengths {wrong[:10]}")
    key = Ed25519PrivateKey.from_private_bytes(seed)
    unlike = [i for i, m in enumerate(messages) if told["signatures"][i] != key.sign(m).hex()]
    if unlike:
        sys.exit(f"signatures {unlike[:10]} are unlike the library's")
    if told["garbage"] > GARBAGE_LIMIT_OCTETS:
        sys.exit(f"a signature leaves {told['garbage']} octets of garbage")
    if max(told["slices_us"]) * SLICES_AT_LEAST > sum(told["slices_us"]):
        sys.exit(f"a slice takes {max(told['slices_us'])} of {sum(told['slices_us'])} us")


if __name__ == "__main__":
    main()
