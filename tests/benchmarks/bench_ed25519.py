"""Ed25519: the device's signatures against the `cryptography` library's, and what they cost; the host's strict check.

    python tests/benchmarks/bench_ed25519.py [--messages 10000]

Every machine signs random messages of 0 to 256 octets, the WebAssembly one a tenth of them; each signature has to
equal the library's, else the benchmark fails. Baseline on the machine: double-and-add straight from RFC 8032 section
5.1.4 with `%` and pow, with the same SHA-512. Baseline on the host: PyNaCl alone. Prints a table and, as its last line,
one JSON object; ratio is baseline / ours, above 1 where ours is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sys
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.signing import VerifyKey

sys.path.insert(0, str(Path(__file__).parents[2]))

from linewitness.evidence import ed25519
from simulations.board.harness import available_vms, package_files, run_on_vm

CHUNK = 500
BASELINE_MESSAGES = 100

# Prints microseconds for all, then a signature a line; jobs.json is [seed, [message, ...]] in hex.
SIGN_MAIN = """
import json, time
from binascii import hexlify, unhexlify
{maker}
seed, messages = json.load(open("jobs.json"))
sign = maker(unhexlify(seed))
messages = [unhexlify(message) for message in messages]
started = time.ticks_us()
signatures = [sign(message) for message in messages]
print(time.ticks_diff(time.ticks_us(), started))
for signature in signatures:
    print(hexlify(signature).decode())
"""
DEVICE_MAKER = """
from witness.crypto.ed25519 import Signer
def urandom(count):
    return bytes((37 * i + 11) & 255 for i in range(count))
def maker(seed):
    return Signer(seed, urandom).sign
"""
PLAIN_MAKER = """
from witness.crypto.sha512 import sha512
P = (1 << 255) - 19
L = (1 << 252) + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
BX = 15112221349535400772501151409588531511454012693041857206046113283949847762202
BY = 4 * pow(5, P - 2, P) % P
BASE = (BX, BY, 1, BX * BY % P)
def add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P
def multiply(s):
    q, p = (0, 1, 1, 0), BASE
    while s:
        if s & 1:
            q = add(q, p)
        p = add(p, p)
        s >>= 1
    z = pow(q[2], P - 2, P)
    return (q[1] * z % P | (q[0] * z % P & 1) << 255).to_bytes(32, "little")
def maker(seed):
    h = sha512(seed)
    a = int.from_bytes(h[:32], "little") & ((1 << 254) - 8) | 1 << 254
    key = multiply(a)
    def sign(message):
        r = int.from_bytes(sha512(h[32:] + message), "little") % L
        R = multiply(r)
        k = int.from_bytes(sha512(R + key + message), "little") % L
        return R + ((r + k * a) % L).to_bytes(32, "little")
    return sign
"""
GARBAGE_MAIN = """
import gc
signer = maker(bytes(range(32)))
message = bytes(256)
signer(message)
gc.collect()
gc.disable()
before = gc.mem_alloc()
signer(message)
print(gc.mem_alloc() - before)
"""


def sign_on(vm: str, maker: str, seed: bytes, messages: list[bytes]) -> tuple[int, list[bytes]]:
    """Microseconds of all signatures together, measured on the machine, and the signatures."""
    files: dict[str, bytes | str] = {**package_files("firmware/witness/crypto", under="witness")}
    files["jobs.json"] = json.dumps([seed.hex(), [message.hex() for message in messages]])
    lines = run_on_vm(vm, files, SIGN_MAIN.format(maker=maker), timeout_s=600).split()
    return int(lines[0]), [bytes.fromhex(line) for line in lines[1:]]


def require_equal(got: list[bytes], seed: bytes, messages: list[bytes], who: str) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    wanted = [key.sign(message) for message in messages]
    if got != wanted:
        wrong = [i for i, pair in enumerate(zip(got, wanted, strict=False)) if pair[0] != pair[1]]
        raise SystemExit(
            f"{who}: {len(got)} signatures for {len(wanted)} messages, unlike the library's at {wrong[:5]}"
        )


def machine_figures(vm: str, count: int, chance: random.Random) -> dict[str, float]:
    total_us = done = 0
    while done < count:
        seed = chance.randbytes(32)
        messages = [chance.randbytes(chance.randrange(257)) for _ in range(min(CHUNK, count - done))]
        spent_us, signatures = sign_on(vm, DEVICE_MAKER, seed, messages)
        require_equal(signatures, seed, messages, vm)
        total_us += spent_us
        done += len(messages)
    messages = messages[:BASELINE_MESSAGES]
    baseline_us, signatures = sign_on(vm, PLAIN_MAKER, seed, messages)
    require_equal(signatures, seed, messages, f"{vm}, baseline")
    figures = {
        "messages": done,
        "sign_us": round(total_us / done),
        "baseline_us": round(baseline_us / len(messages)),
    }
    if vm == "unix":  # the wasm machine collects only between calls from JavaScript, and has other sizes
        crypto = package_files("firmware/witness/crypto", under="witness")
        figures["garbage_octets"] = int(run_on_vm(vm, crypto, DEVICE_MAKER + GARBAGE_MAIN))
    return figures


def host_figures(count: int, chance: random.Random) -> dict[str, float]:
    key = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))
    public_key = key.public_key().public_bytes_raw()
    messages = [chance.randbytes(256) for _ in range(count)]
    signatures = [key.sign(message) for message in messages]
    pairs = list(zip(messages, signatures, strict=True))
    started = time.perf_counter()
    for message, signature in pairs:
        ed25519.check(public_key, message, signature)
    checked = time.perf_counter()
    for message, signature in pairs:
        VerifyKey(public_key).verify(message, signature)
    bare = time.perf_counter()
    return {
        "messages": count,
        "check_us": round((checked - started) / count * 1e6, 1),
        "baseline_us": round((bare - checked) / count * 1e6, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=10_000, help="signatures on the unix machine (default 10000)")
    parser.add_argument("--seed", type=int, default=8032, help="of the random messages")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    figures: dict[str, dict[str, float]] = {}
    for vm in available_vms():
        count = options.messages if vm == "unix" else max(1, options.messages // 10)
        figures[vm] = machine_figures(vm, count, chance)
    figures["host check"] = host_figures(2000, chance)
    print(f"Ed25519 on {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{'where':<12}{'messages':>10}{'us each':>10}{'baseline us':>13}{'ratio':>8}")
    ratios = {}
    for name, row in figures.items():
        each_us = row.get("sign_us", row.get("check_us", 0))
        ratios[name] = round(row["baseline_us"] / each_us, 2)
        print(f"{name:<12}{row['messages']:>10}{each_us:>10}{row['baseline_us']:>13}{ratios[name]:>8}")
    print("every signature of the machines equals the cryptography library's")
    if "unix" in figures:
        print(f"garbage of one signature of 256 octets (64-bit machine): {figures['unix']['garbage_octets']} octets")
    baselines = {
        "unix": "double-and-add with % on the same machine",
        "wasm": "double-and-add with % on the same machine",
        "host check": "PyNaCl alone",
    }
    report = {"figures": figures, "baseline": {name: baselines[name] for name in figures}, "ratio": ratios}
    print(json.dumps({"benchmark": "ed25519", **report}))


if __name__ == "__main__":
    main()
