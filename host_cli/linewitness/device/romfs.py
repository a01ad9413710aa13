"""The firmware as one image that a board executes in place, from its ROMFS partition, instead of loading it to memory.

An image holds the files below /lib; the board mounts it at /rom and finds them at /rom/lib. Only a MicroPython that was
built with the partition has it (docs/hardware.md): stock images of the ESP32 and RP2 ports have none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

from mpremote.romfs import VfsRomWriter

from linewitness.device.firmware import LIB
from linewitness.device.prompt import Prompt
from linewitness.errors import CannotDo

BLOCK_OCTETS = 4096
CHUNK_OCTETS = 2048

# The partition is a block device (ESP32) or a stretch of memory (the other ports); both can be read as octets.
_SIZE = """
import vfs, json
_n = 0
if hasattr(vfs, 'rom_ioctl') and vfs.rom_ioctl(1) > 0:
    _dev = vfs.rom_ioctl(2, 0)
    if not isinstance(_dev, int):
        _n = _dev.ioctl(4, 0) * _dev.ioctl(5, 0) if hasattr(_dev, 'ioctl') else len(_dev)
print(json.dumps(_n))
"""
_DIGEST = """
import vfs, json, hashlib, binascii
print(json.dumps(binascii.hexlify(hashlib.sha256(memoryview(vfs.rom_ioctl(2, 0))[:%d]).digest()).decode()))
"""
_BEGIN = """
import vfs
_dev = vfs.rom_ioctl(2, 0)
_blocks = hasattr(_dev, 'ioctl')
if not _blocks:
    vfs.rom_ioctl(3, 0, %d)
_block = bytearray(%d)
"""
_BLOCK = "(_dev.writeblocks({number}, _block) if _blocks else vfs.rom_ioctl(4, 0, {offset}, _block))"
_END = "import json\n_blocks or vfs.rom_ioctl(5, 0)\nprint(json.dumps(True))"


def build_image(files: Mapping[str, bytes]) -> bytes:
    """Return the image of the files below /lib of compile_firmware; the same files give the same octets."""
    writer = VfsRomWriter()
    writer.opendir(LIB.strip("/"))
    folder: list[str] = []
    for path in sorted(path for path in files if path.startswith(LIB + "/")):
        *parts, name = path.removeprefix(LIB + "/").split("/")
        while folder != parts[: len(folder)]:
            writer.closedir()
            folder.pop()
        for part in parts[len(folder) :]:
            writer.opendir(part)
            folder.append(part)
        writer.mkfile(name, files[path])
    for _ in folder:
        writer.closedir()
    writer.closedir()
    return bytes(writer.finalise())


def partition_octets(prompt: Prompt) -> int:
    """Return the size of a board's ROMFS partition, 0 without one."""
    return int(prompt.ask(_SIZE))


def holds(prompt: Prompt, image: bytes) -> bool:
    """Whether the partition begins with the image."""
    return bytes.fromhex(prompt.ask(_DIGEST % len(image), timeout_s=60)) == hashlib.sha256(image).digest()


def deploy(prompt: Prompt, image: bytes, progress: Callable[[int], None] = lambda octets: None) -> None:
    """Write the image, and read it back. Raises CannotDo. The board executes nothing of it: it is at its prompt."""
    prompt.run(_BEGIN % (-(-len(image) // BLOCK_OCTETS) * BLOCK_OCTETS, BLOCK_OCTETS))
    for offset in range(0, len(image), BLOCK_OCTETS):
        block = image[offset : offset + BLOCK_OCTETS].ljust(BLOCK_OCTETS, b"\xff")
        for at in range(0, BLOCK_OCTETS, CHUNK_OCTETS):
            prompt.run(f"_block[{at}:{at + CHUNK_OCTETS}] = {block[at : at + CHUNK_OCTETS]!r}")
        prompt.run(_BLOCK.format(number=offset // BLOCK_OCTETS, offset=offset))
        progress(min(BLOCK_OCTETS, len(image) - offset))
    prompt.ask(_END)
    if not holds(prompt, image):
        raise CannotDo("the ROMFS partition reads otherwise than written", prompt.port, "another cable or board")
