"""socket, select, ssl and network of the board, over the parent's sockets.

A socket's state lives in the parent, under its number `_fd`; here are only MicroPython's names and its ways of
blocking. What the board's profile lacks (socket options, TTL, DSCP) is missing in the same manner as on the port.
"""

import gc
import struct

import board_host as host

AF_INET = 2
SOCK_STREAM = 1
SOCK_DGRAM = 2
SOCK_RAW = 3
IPPROTO_IP = 0
IPPROTO_ICMP = 1
IPPROTO_TCP = 6
IPPROTO_UDP = 17
SOL_SOCKET = 0xFFF
SO_REUSEADDR = 4
SO_BROADCAST = 0x20
IP_ADD_MEMBERSHIP = 3
IP_DROP_MEMBERSHIP = 4
TCP_NODELAY = 1
_KNOWN_OPTIONS = (SO_REUSEADDR, SO_BROADCAST, IP_ADD_MEMBERSHIP, IP_DROP_MEMBERSHIP, 20)

EAGAIN = 11
EINVAL = 22
ETIMEDOUT = 110
EINPROGRESS = 115
CERT_VERIFY_FAILED = -0x2700

POLLIN = 1
POLLOUT = 4
POLLERR = 8
POLLHUP = 16
_MP_STREAM_POLL = 3

# Handed in by board_boot: the profile's platform and what a TLS session takes from the heap, in octets.
platform = "esp32"
tls_session_bytes = 0
tls_handshake_bytes = 0


def _pack_address(address):
    numbers = [int(part) for part in address[0].split(".")]
    if len(numbers) != 4:
        raise OSError(EINVAL)
    return bytes(numbers) + struct.pack("<H", address[1])


def _unpack_address(octets):
    return "%d.%d.%d.%d" % tuple(octets[:4]), octets[4] | octets[5] << 8


def getaddrinfo(name, port, af=0, kind=0, proto=0, flags=0):
    """The port's blocking resolver: dotted addresses at once, names by the parent after its resolver's delay."""
    address = host.call("resolve", name)
    if address is None:
        raise OSError(-2)
    return [(AF_INET, kind or SOCK_STREAM, proto, "", (address, port))]


class socket:
    def __init__(self, af=AF_INET, kind=SOCK_STREAM, proto=0, _fd=None):
        self._kind = kind
        self._timeout_ms = -1
        self._line = b""
        self._fd = host.call("socket", kind, proto) if _fd is None else _fd

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.close()

    def fileno(self):
        return self._fd

    def setblocking(self, flag):
        self._timeout_ms = -1 if flag else 0

    def settimeout(self, seconds):
        self._timeout_ms = -1 if seconds is None else int(seconds * 1000)

    def setsockopt(self, level, option, value):
        if option in _KNOWN_OPTIONS:
            return
        if platform == "esp32" and option == TCP_NODELAY:
            # The port switches on the option's number alone, so IP_TOS is taken for TCP_NODELAY.
            if self._kind != SOCK_STREAM:
                raise OSError(EINVAL)
            return
        if platform == "rp2" and option == TCP_NODELAY and self._kind == SOCK_STREAM:
            return
        print("Warning: lwip.setsockopt() not implemented")

    def bind(self, address):
        host.call("bind", self._fd, address[0], address[1])

    def listen(self, backlog=2):
        host.call("listen", self._fd, backlog)

    def connect(self, address):
        host.call("connect", self._fd, address[0], address[1])
        if self._kind != SOCK_STREAM:
            return
        if self._timeout_ms == 0:
            raise OSError(EINPROGRESS)
        self._wait(POLLOUT)
        host.call("connected", self._fd)

    def accept(self):
        while True:
            try:
                fd, name, port = host.call("accept", self._fd)
                return socket(AF_INET, SOCK_STREAM, 0, fd), (name, port)
            except OSError as error:
                self._wait_again(error, POLLIN)

    def _wait(self, events):
        host.request(host.POLL, struct.pack("<iHB", self._timeout_ms, self._fd, events))
        if not len(host.body()):
            raise OSError(ETIMEDOUT)

    def _wait_again(self, error, events):
        """Wait when `error` only says that the socket is not ready and it is a blocking one; else raise it."""
        if error.errno != EAGAIN or self._timeout_ms == 0:
            raise error
        self._wait(events)

    def send(self, octets):
        view = memoryview(octets)[: host.MAX_BODY]
        while True:
            try:
                return host.request(host.SEND, struct.pack("<H", self._fd), view)
            except OSError as error:
                self._wait_again(error, POLLOUT)

    def sendall(self, octets):
        view = memoryview(octets)
        while len(view):
            view = view[self.send(view) :]

    def sendto(self, octets, address):
        return host.request(host.SENDTO, struct.pack("<H", self._fd) + _pack_address(address), octets)

    def recv(self, n):
        while True:
            try:
                host.request(host.RECV, struct.pack("<HH", self._fd, min(n, host.MAX_BODY)))
                return bytes(host.body())
            except OSError as error:
                self._wait_again(error, POLLIN)

    def recvfrom(self, n):
        while True:
            try:
                host.request(host.RECVFROM, struct.pack("<HH", self._fd, min(n, host.MAX_BODY - 6)))
                octets = host.body()
                return bytes(octets[6:]), _unpack_address(octets)
            except OSError as error:
                self._wait_again(error, POLLIN)

    # The stream protocol: None for "not ready".

    def read(self, n=-1):
        if self._line:
            octets, self._line = self._line, b""
            if 0 <= n < len(octets):
                octets, self._line = octets[:n], octets[n:]
            return octets
        try:
            if self._timeout_ms == 0 or self._kind != SOCK_STREAM:
                return self.recv(n if n >= 0 else host.MAX_BODY)
            octets = b""
            while n < 0 or len(octets) < n:
                more = self.recv(host.MAX_BODY if n < 0 else n - len(octets))
                if not more:
                    break
                octets += more
            return octets
        except OSError as error:
            if error.errno != EAGAIN:
                raise
            return None

    def readinto(self, buffer, n=-1):
        octets = self.read(len(buffer) if n < 0 else min(n, len(buffer)))
        if octets is None:
            return None
        buffer[: len(octets)] = octets
        return len(octets)

    def readline(self):
        """A line, the rest before the end of stream, or (not blocking) None while the line is not complete."""
        while True:
            at = self._line.find(b"\n")
            if at >= 0:
                line, self._line = self._line[: at + 1], self._line[at + 1 :]
                return line
            try:
                more = self.recv(512)
            except OSError as error:
                if error.errno != EAGAIN:
                    raise
                return None
            if not more:
                line, self._line = self._line, b""
                return line
            self._line += more

    def write(self, octets):
        try:
            if self._timeout_ms == 0:
                return self.send(octets)
            self.sendall(octets)
            return len(octets)
        except OSError as error:
            if error.errno != EAGAIN:
                raise
            return None

    def makefile(self, *args):
        return self

    def close(self):
        if self._fd is not None and self._fd >= 0:
            fd, self._fd = self._fd, -1
            host.call("close", fd)


class poll:
    """select.poll over the parent's sockets, and over streams of Python with an ioctl."""

    def __init__(self):
        self._watched = {}

    def register(self, stream, events=POLLIN | POLLOUT):
        self._watched[id(stream)] = (stream, events)

    modify = register

    def unregister(self, stream):
        self._watched.pop(id(stream), None)

    def poll(self, timeout_ms=-1):
        ready = []
        by_fd = {}
        frame = b""
        for stream, events in self._watched.values():
            fd = getattr(stream, "_fd", None)
            if fd is None:
                happened = stream.ioctl(_MP_STREAM_POLL, events)
                if happened:
                    ready.append((stream, happened))
            elif fd < 0:
                ready.append((stream, POLLERR))
            elif getattr(stream, "_line", None) and events & POLLIN:
                ready.append((stream, POLLIN))
            else:
                by_fd[fd] = stream
                frame += struct.pack("<HB", fd, events)
        timeout_ms = 0 if ready else (-1 if timeout_ms is None else timeout_ms)
        if host.request(host.POLL, struct.pack("<i", timeout_ms), frame) == host.MEASURE:
            host.measure = True
            gc.collect()
        octets = host.body()
        for offset in range(0, len(octets), 3):
            fd, events = struct.unpack_from("<HB", octets, offset)
            ready.append((by_fd[fd], events))
        return ready

    def ipoll(self, timeout_ms=-1, flags=0):
        return iter(self.poll(timeout_ms))


def select(readers, writers, errors, timeout_s=None):
    poller = poll()
    for stream in readers:
        poller.register(stream, POLLIN)
    for stream in writers:
        poller.register(stream, POLLOUT | (POLLIN if stream in readers else 0))
    ready = poller.poll(-1 if timeout_s is None else int(timeout_s * 1000))
    readable = [stream for stream, events in ready if events & ~POLLOUT and stream in readers]
    writable = [stream for stream, events in ready if events & ~POLLIN and stream in writers]
    return readable, writable, []


PROTOCOL_TLS_CLIENT = 0
PROTOCOL_TLS_SERVER = 1
CERT_NONE = 0
CERT_OPTIONAL = 1
CERT_REQUIRED = 2


class SSLContext:
    """The parent's TLS; certificates are DER or PEM, as on mbedTLS."""

    verify_callback = None

    def __init__(self, protocol):
        self._protocol = protocol
        self._id = host.call("tls_context", protocol)
        self._verify = CERT_REQUIRED if protocol == PROTOCOL_TLS_CLIENT else CERT_NONE

    @property
    def verify_mode(self):
        return self._verify

    @verify_mode.setter
    def verify_mode(self, mode):
        self._verify = mode

    def load_verify_locations(self, cafile=None, cadata=None):
        self._load("tls_trust", _octets(cafile, cadata))

    def load_cert_chain(self, cert, key):
        self._load("tls_key", _octets(None, key))
        self._load("tls_cert", _octets(None, cert))

    def _load(self, name, octets):
        for offset in range(0, len(octets), 900):
            last = offset + 900 >= len(octets)
            if host.call(name, self._id, octets[offset : offset + 900].hex(), last):
                raise ValueError("invalid cert" if name != "tls_key" else "invalid key")

    def wrap_socket(self, sock, *, server_side=False, do_handshake_on_connect=True, server_hostname=None, **options):
        if self._verify == CERT_REQUIRED and not server_side and server_hostname is None:
            raise ValueError("CERT_REQUIRED requires server_hostname")
        wrapped = SSLSocket(sock)
        wrapped.verify_callback = self.verify_callback
        host.call("tls_wrap", sock._fd, self._id, self._verify, bool(server_side), server_hostname)
        if do_handshake_on_connect and sock._timeout_ms != 0:
            wrapped.do_handshake()
        return wrapped


class tls:
    """The module tls, which has what ssl wraps."""

    PROTOCOL_TLS_CLIENT = PROTOCOL_TLS_CLIENT
    PROTOCOL_TLS_SERVER = PROTOCOL_TLS_SERVER
    CERT_NONE = CERT_NONE
    CERT_OPTIONAL = CERT_OPTIONAL
    CERT_REQUIRED = CERT_REQUIRED

    class SSLContext(SSLContext):
        def load_verify_locations(self, cadata):
            self._load("tls_trust", _octets(None, cadata))


def _octets(path, data):
    if data is None:
        with open(path, "rb") as file:
            data = file.read()
    return data.encode() if isinstance(data, str) else data


class SSLSocket(socket):
    def __init__(self, plain):
        # What mbedTLS takes from the collected heap on this port; the handshake's part is given back after it.
        self._session = bytearray(tls_session_bytes)
        self._handshake = bytearray(tls_handshake_bytes)
        self._plain = plain
        self._kind = SOCK_STREAM
        self._timeout_ms = plain._timeout_ms
        self._line = b""
        self._fd = plain._fd

    def _handshake_done(self):
        if self._handshake is not None and host.call("tls_done", self._fd):
            self._handshake = None
            if self.verify_callback is not None:
                # The server's own certificate alone; mbedTLS calls for each of the chain.
                self.verify_callback(memoryview(self.getpeercert()), 0)

    def do_handshake(self):
        try:
            while not host.call("tls_done", self._fd):
                self._wait(POLLOUT)
        except OSError as error:
            self._refuse(error)
        self._handshake = None

    def recv(self, n):
        try:
            octets = socket.recv(self, n)
        except OSError as error:
            self._refuse(error)
        self._handshake_done()
        return octets

    def send(self, octets):
        try:
            n = socket.send(self, octets)
        except OSError as error:
            self._refuse(error)
        self._handshake_done()
        return n

    def _refuse(self, error):
        """Raise what mbedTLS's binding does: of a certificate that does not hold, words in a ValueError."""
        if error.errno == CERT_VERIFY_FAILED:
            raise ValueError("\n" + host.call("tls_words", self._fd))
        raise error

    def getpeercert(self, binary_form=True):
        return bytes.fromhex(host.call("tls_peer", self._fd))

    def cipher(self):
        return tuple(host.call("tls_cipher", self._fd))

    def close(self):
        self._session = self._handshake = None
        self._fd = -1
        self._plain.close()
