"""Debian's MicroPython for another processor, unpacked into build/ without touching what is installed.

command = fetch("armhf")      # ["qemu-arm", "-L", ..., ".../micropython"]

Its apt reads one suite for that architecture alone, in folders of its own; nothing is configured and no package script
runs. i386 runs on the processor itself, armhf under qemu-user, which is installed where root may.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

SUITE = "forky"  # the first with MicroPython 1.25 or later
MIRROR = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
BUILD = Path(__file__).parents[2] / "build" / "debian"
LOADERS = {"i386": "ld-linux.so.2", "armhf": "ld-linux-armhf.so.3"}


class Unavailable(Exception):
    """It can't be had here; the message says why."""


def fetch(architecture: str) -> list[str]:
    """Return the command that runs MicroPython on `architecture`, i386 or armhf. Raises Unavailable."""
    root = BUILD / architecture / "root"
    if not (root / "usr" / "bin" / "micropython").exists():
        _unpack(architecture, root)
    binary = root / "usr" / "bin" / "micropython"
    libraries = next((root / "usr" / "lib").glob("*-linux-gnu*"))
    if architecture == "armhf":
        if shutil.which("qemu-arm") is None:
            if os.geteuid() or shutil.which("apt-get") is None:
                raise Unavailable("no qemu-arm; install qemu-user")
            run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "qemu-user"])
        path = f"LD_LIBRARY_PATH=/usr/lib/{libraries.name}"
        return ["qemu-arm", "-L", str(root), "-E", path, str(binary)]
    return [str(libraries / LOADERS[architecture]), "--library-path", str(libraries), str(binary)]


def fetch_source() -> Path:
    """Return the folder of MicroPython's source, as Debian has it. Raises Unavailable."""
    here = BUILD / "source"
    found = sorted(here.glob("micropython-*/ports"))
    if not found:
        apt = _settings("source", "i386", "deb-src")
        run(["apt-get", "update", "-qq"], env=apt)
        run(["apt-get", "source", "-qq", "--download-only", "micropython"], env=apt, cwd=here)
        run(["tar", "xf", next(here.glob("*.orig.tar.*")).name], cwd=here)
        found = sorted(here.glob("micropython-*/ports"))
    return found[-1].parent


def _settings(name: str, architecture: str, kind: str = "deb") -> dict[str, str]:
    """The environment of an apt of its own, below BUILD / name."""
    here = BUILD / name
    if shutil.which("apt-get") is None or not Path(KEYRING).exists():
        raise Unavailable("no apt-get with Debian's keyring")
    for folder in ("etc", "state/lists/partial", "cache/archives/partial", "debs"):
        (here / folder).mkdir(parents=True, exist_ok=True)
    (here / "etc" / "sources.list").write_text(f"{kind} [signed-by={KEYRING}] {MIRROR} {SUITE} main\n")
    (here / "state" / "status").touch()
    settings = here / "apt.conf"
    settings.write_text(
        f'Dir::Etc::SourceList "{here}/etc/sources.list";\nDir::Etc::SourceParts "-";\nDir::State "{here}/state";\n'
        f'Dir::State::status "{here}/state/status";\nDir::Cache "{here}/cache";\n'
        f'APT::Architecture "{architecture}";\nAPT::Architectures {{ "{architecture}"; }};\n'
        'APT::Sandbox::User "root";\n'
    )
    return {**os.environ, "APT_CONFIG": str(settings)}


def _unpack(architecture: str, root: Path) -> None:
    here = BUILD / architecture
    apt = _settings(architecture, architecture)
    run(["apt-get", "update", "-qq"], env=apt)
    listed = run(["apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts",
                   "--no-breaks", "--no-replaces", "--no-enhances", "micropython"], env=apt)  # fmt: skip
    needed = sorted({line.strip() for line in listed.splitlines() if line[:1].isalnum()})
    needed = [name for name in needed if name.startswith(("lib", "micropython")) and ":" not in name]
    run(["apt-get", "download", *needed], env=apt, cwd=here / "debs")
    for package in sorted((here / "debs").glob("*.deb")):
        run(["dpkg-deb", "-x", str(package), str(root)])
    if not (root / "lib").exists():
        (root / "lib").symlink_to("usr/lib")


def run(command: list[str], *, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=cwd)
    if done.returncode:
        raise Unavailable(f"{' '.join(command[:3])}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
    return done.stdout
