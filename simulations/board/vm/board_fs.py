"""The file system at '/': every call goes to the parent's littlefs. Error numbers of littlefs are MicroPython's own."""

import io
import struct

import board_host as host

_SEEK = 2
_FLUSH = 1
_CLOSE = 4
_BUFFER_SIZE = 11
_EINVAL = 22


class File(io.IOBase):
    """A binary file; text modes are wrapped by TextFile."""

    def __init__(self, path, mode):
        self._handle = None
        self._handle = host.call("fs_open", path, mode)

    def readinto(self, buffer):
        host.request(host.READ, struct.pack("<HH", self._handle, min(len(buffer), host.MAX_BODY)))
        octets = host.body()
        buffer[: len(octets)] = octets
        return len(octets)

    def read(self, n=-1):
        parts = b""
        while n < 0 or len(parts) < n:
            wanted = host.MAX_BODY if n < 0 else min(n - len(parts), host.MAX_BODY)
            host.request(host.READ, struct.pack("<HH", self._handle, wanted))
            octets = host.body()
            if not len(octets):
                break
            if not parts and len(octets) == n:
                return bytes(octets)
            parts += octets
        return parts

    def readline(self, n=-1):
        line = b""
        while n < 0 or len(line) < n:
            host.request(host.READ, struct.pack("<HH", self._handle, 128))
            octets = bytes(host.body())
            at = octets.find(b"\n")
            if at >= 0:
                self.seek(at + 1 - len(octets), 1)
                return line + octets[: at + 1]
            if not octets:
                break
            line += octets
        if 0 <= n < len(line):
            self.seek(n - len(line), 1)
            line = line[:n]
        return line

    def write(self, octets):
        view = memoryview(octets)
        for offset in range(0, len(view), host.MAX_BODY):
            host.request(host.WRITE, struct.pack("<H", self._handle), view[offset : offset + host.MAX_BODY])
        return len(view)

    def ioctl(self, request, argument):
        if request == _BUFFER_SIZE:
            return 240
        if request == _FLUSH:
            self.flush()
            return 0
        if request == _CLOSE:
            self.close()
            return 0
        if request == _SEEK:
            import uctypes

            layout = {"offset": uctypes.INT32 | 0, "whence": uctypes.INT32 | 4}
            at = uctypes.struct(argument, layout)
            at.offset = self.seek(at.offset, at.whence)
            return 0
        return -_EINVAL

    def seek(self, offset, whence=0):
        return host.call("fs_seek", self._handle, offset, whence)

    def tell(self):
        return self.seek(0, 1)

    def flush(self):
        host.call("fs_sync", self._handle)

    def close(self):
        if self._handle is not None:
            handle, self._handle = self._handle, None
            host.call("fs_close", handle)

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.close()

    def __iter__(self):
        return self

    def __next__(self):
        line = self.readline()
        if not line:
            raise StopIteration
        return line


class TextFile(File):
    """UTF-8; `read(n)` counts characters."""

    def read(self, n=-1):
        if n < 0:
            return File.read(self).decode()
        text = b""
        characters = 0
        while characters < n:
            octet = File.read(self, 1)
            if not octet:
                break
            text += octet
            more = 0 if octet[0] < 0x80 else 1 if octet[0] < 0xE0 else 2 if octet[0] < 0xF0 else 3
            text += File.read(self, more) if more else b""
            characters += 1
        return text.decode()

    def readline(self, n=-1):
        return File.readline(self, n).decode()

    def write(self, text):
        File.write(self, text.encode())
        return len(text)


class Filesystem:
    """What vfs.mount wants."""

    def __init__(self):
        self._cwd = "/"

    def mount(self, readonly, mkfs):
        pass

    def umount(self):
        pass

    def _absolute(self, path):
        return path if path.startswith("/") else self._cwd + path

    def open(self, path, mode):
        kind = File if "b" in mode else TextFile
        return kind(self._absolute(path), mode)

    def chdir(self, path):
        path = "/" + "/".join(part for part in self._absolute(path).split("/") if part)
        if path != "/" and host.call("fs_stat", path)[0] != 0x4000:
            raise OSError(2)
        self._cwd = path if path == "/" else path + "/"

    def getcwd(self):
        return self._cwd if self._cwd == "/" else self._cwd[:-1]

    def ilistdir(self, path=""):
        path = self._absolute(path)
        at = 0
        while True:
            entries = host.call("fs_list", path, at)
            for entry in entries:
                yield tuple(entry)
            if not entries:
                return
            at += len(entries)

    def mkdir(self, path):
        host.call("fs_mkdir", self._absolute(path))

    def remove(self, path):
        host.call("fs_remove", self._absolute(path), False)

    def rmdir(self, path):
        host.call("fs_remove", self._absolute(path), True)

    def rename(self, old, new):
        host.call("fs_rename", self._absolute(old), self._absolute(new))

    def stat(self, path):
        return tuple(host.call("fs_stat", self._absolute(path)))

    def statvfs(self, path):
        return tuple(host.call("fs_statvfs"))
