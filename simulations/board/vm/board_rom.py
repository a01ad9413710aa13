"""ROMFS as on the boards: mounted at /rom at boot, on the import path, written through vfs.rom_ioctl."""

import binascii
import sys

import board_host as host
import vfs

_NUMBER_OF_SEGMENTS, _SEGMENT, _PREPARE, _WRITE, _COMPLETE = 1, 2, 3, 4, 5
_PIECE = 900
_EINVAL = 22
_PROT_READ_WRITE, _MAP_SHARED, _O_RDWR = 3, 1, 2


def _mapped(path, size):
    """The partition's octets, in memory that is not the heap's; None on a machine that can't."""
    import uctypes

    if host.vbhost is not None:
        return uctypes.bytearray_at(host.vbhost.rom_address(), size)
    try:
        import ffi
    except ImportError:
        return None
    libc = ffi.open("libc.so.6")
    handle = libc.func("i", "open", "si")(path, _O_RDWR)
    address = libc.func("P", "mmap", "PIiiii")(None, size, _PROT_READ_WRITE, _MAP_SHARED, handle, 0)
    return uctypes.bytearray_at(address, size)


def install(profile):
    """Mount what is in the partition, if there is one."""
    size = profile["romfs_size"]
    segment = _mapped(profile["romfs_path"], size) if size else None
    if segment is None:
        return

    def rom_ioctl(operation, *arguments):
        if operation == _NUMBER_OF_SEGMENTS:
            return 1
        if operation == _SEGMENT and arguments[0] == 0:
            return segment
        if operation == _PREPARE:
            host.call("rom_prepare", arguments[1])
            return 4
        if operation == _WRITE:
            offset, octets = arguments[1], memoryview(arguments[2])
            segment[offset : offset + len(octets)] = octets
            for at in range(0, len(octets), _PIECE):
                host.call("rom_write", offset + at, binascii.hexlify(octets[at : at + _PIECE]).decode())
            return 0
        if operation == _COMPLETE:
            return 0
        return -_EINVAL

    names = {name: getattr(vfs, name) for name in dir(vfs) if not name.startswith("__")}
    sys.modules["vfs"] = type("vfs", (), names)
    sys.modules["vfs"].rom_ioctl = rom_ioctl
    try:
        vfs.mount(vfs.VfsRom(segment), "/rom")
    except OSError:
        return  # erased
    sys.path[:] = ["", ".frozen", "/rom", "/rom/lib", "/lib"]
