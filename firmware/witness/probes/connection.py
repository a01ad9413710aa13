"""TCP connections of probes, with TLS or without: each phase with its own time, each failure with its own code.

    number   what ended it: 0, or what goes into the reading's codes, negative:
             -ECONNREFUSED  refused (RST to our SYN; lwIP calls it a reset)     -ETIMEDOUT  silence, in whichever phase
             -ECONNRESET    reset or closed after the connect                   -ENOMEM     no room on the board
             codes.TLS_UNTRUSTED the certificate does not hold, less the bits of why (of another authority, ...)
             codes.TLS_ALERT a fatal alert of the server (RFC 5246 7.2), and mbedTLS's other numbers

A handshake computes for a second or two on a small board, which stalls its loop: it belongs into the housekeeping slot,
under `quiet`, one at a time, and its time is the board's and the server's together.
"""

import asyncio
import errno
import hashlib
import struct

from linewitness_wire import codes, plan, record
from witness.sample import within
from witness.sockets import Ready

from .base import SingleShot

IN_PROGRESS = (errno.EINPROGRESS, errno.EAGAIN, 119)  # 119: EINPROGRESS of the ESP32's C library
REFUSALS = (errno.ECONNREFUSED, errno.ECONNRESET)
MBEDTLS_EOF = -0x7280
ENDED = (-errno.ECONNRESET, -32, MBEDTLS_EOF)  # 32: EPIPE
READ_OCTETS = 512
REASONS = (
    ("expired", codes.TLS_EXPIRED),
    ("Common Name", codes.TLS_OTHER_NAME),
    ("trusted CA", codes.TLS_OTHER_AUTHORITY),
    ("in the future", codes.TLS_NOT_YET),
)
CRLF = b"\r\n"


class Connection:
    """One connection in the making. `number` is 0 while it is good."""

    def __init__(self, clock, sock) -> None:
        self._clock = clock
        self._sock = sock
        self.number = 0

    async def connect(self, peer: object, until_us: int) -> None:
        """Do the TCP handshake."""
        self._sock.setblocking(False)
        try:
            self._sock.connect(peer)
            number = 0
        except OSError as e:
            number = _number_of(e)
        if -number in IN_PROGRESS:
            if not await within(until_us - self._clock.now_us(), Ready(self._sock, write=True).wait):
                self.number = -errno.ETIMEDOUT
                return
            # A non-blocking socket tells writability only; whether it is connected or in error, the next call says.
            number = 0
            try:
                self._sock.recv(1)
            except OSError as e:
                if e.errno != errno.EAGAIN:
                    number = _number_of(e)
        self.number = -errno.ECONNREFUSED if -number in REFUSALS else number

    async def secure(self, context, name: str, until_us: int) -> None:
        """Do the TLS handshake; number says what failed.

        The boards' mbedTLS tells that it is done only by taking octets to send. They are CR LF, which SIP (RFC 5626
        4.4.1), HTTP (RFC 9112 2.2) and mail servers pass over.
        """
        try:
            self._sock = context.wrap_socket(self._sock, server_hostname=name, do_handshake_on_connect=False)
            self._sock.setblocking(False)
        except MemoryError:
            self.number = -errno.ENOMEM
            return
        except OSError as e:
            self.number = _number_of(e)
            return
        while True:
            try:
                if self._sock.write(CRLF):
                    return
            except OSError as e:
                number = _number_of(e)
                self.number = -errno.ECONNRESET if number in ENDED else number
                return
            except ValueError as e:  # mbedTLS's words about a certificate, a line for each reason
                self.number = _untrusted(str(e))
                return
            if not await within(until_us - self._clock.now_us(), Ready(self._sock).wait):
                self.number = -errno.ETIMEDOUT
                return

    async def send(self, octets: bytes, until_us: int) -> None:
        """Send all octets."""
        while octets:
            try:
                taken = self._sock.write(octets)
            except OSError as e:
                number = _number_of(e)
                self.number = -errno.ECONNRESET if number in ENDED else number
                return
            octets = octets[taken or 0 :]
            if octets and not await within(until_us - self._clock.now_us(), Ready(self._sock, write=True).wait):
                self.number = -errno.ETIMEDOUT
                return

    async def receive(self, until_us: int) -> bytes:
        """Return the next octets; number says why there are none."""
        while True:
            try:
                octets = self._sock.read(READ_OCTETS)
            except OSError as e:
                number = _number_of(e)
                self.number = -errno.ECONNRESET if number in ENDED else number
                return b""
            if octets:
                return octets
            if octets is not None:
                self.number = -errno.ECONNRESET
                return b""
            if not await within(until_us - self._clock.now_us(), Ready(self._sock).wait):
                self.number = -errno.ETIMEDOUT
                return b""

    def close(self) -> None:
        """Let go of it, without waiting for the peer."""
        self._sock.close()


def _untrusted(words: str) -> int:
    """Return TLS_UNTRUSTED less the bits of the reasons that mbedTLS gives (x509_crt.h)."""
    number = codes.TLS_UNTRUSTED
    for word, bit in REASONS:
        if word in words:
            number -= bit
    return number


def _number_of(error: OSError) -> int:
    """Return an error's number as a negative one: errno is positive, mbedTLS's numbers are negative already."""
    number = error.errno or errno.EIO
    return number if number < 0 else -number


class Connecting(SingleShot):
    """What probes over connections have in common: opening one, and the times of its phases in the reading."""

    def __init__(self, socket, clock, link, tls=None) -> None:
        super().__init__()
        self._socket = socket
        self._tls = tls
        self._clock = clock
        self._link = link
        self._times: dict[str, dict[int, list[int]]] = {}

    def resolved(self, target: plan.Target, took_us: int) -> None:
        """Keep how long a server took to give the target's address."""
        self.phase(target, record.RESOLVE_US, took_us)

    def phase(self, target: plan.Target, key: int, took_us: int) -> None:
        """Take one more time of a phase."""
        kept = self._times.setdefault(target.name, {}).setdefault(key, [0, 0, 0])
        kept[0] += 1
        kept[1] += took_us
        kept[2] = max(kept[2], took_us)

    def extras(self, target: plan.Target) -> dict:
        """Return the phases as [mean, max] with the other extras."""
        extras = super().extras(target)
        for key, kept in self._times.pop(target.name, {}).items():
            extras[key] = [kept[1] // kept[0], kept[2]]
        return extras

    async def open(self, target: plan.Target, address: str, port: int, until_us: int) -> Connection:
        """Connect; return the Connection, whose number says what failed."""
        sock = self._socket.socket(self._socket.AF_INET, self._socket.SOCK_STREAM)
        connection = Connection(self._clock, sock)
        began_us = self._clock.now_us()
        # A dotted address: this asks no name server.
        await connection.connect(self._socket.getaddrinfo(address, port)[0][-1], until_us)
        if connection.number == 0 and target.method != codes.METHOD_TCP:  # its round trip is this
            self.phase(target, record.CONNECT_US, self._clock.now_us() - began_us)
        return connection

    async def secure(self, target: plan.Target, connection: Connection, until_us: int) -> None:
        """Do the TLS handshake with the authority that the plan names, and keep what the certificate says."""
        authority = target.options.get(plan.OPTION_AUTHORITY)
        name = target.options.get(plan.OPTION_NAME) or target.host
        began_us = self._clock.now_us()
        try:
            context = self._tls(authority)
        except (OSError, ValueError):
            connection.number = -errno.ENOENT  # the configuration has no such authority: nothing was measured
            return
        from .certificate import not_after_s

        shown: list[int] = []

        def show(certificate, depth: int) -> int:
            if depth == 0:
                octets = bytes(certificate)
                shown[:] = not_after_s(octets), struct.unpack(">I", hashlib.sha256(octets).digest()[:4])[0]
            return 0

        context.verify_callback = show
        await connection.secure(context, name, until_us)
        if connection.number == 0:
            self.phase(target, record.HANDSHAKE_US, self._clock.now_us() - began_us)
            if shown:
                self.note(target, record.CERTIFICATE, [0 if authority is None else 1] + shown)


def tls_contexts(tls, folder: str):
    """Return what makes a TLS client's context for an authority's name (its DER is in folder), or None to trust all.

    tls: the module, not ssl, whose contexts show no certificate.
    """

    def make(authority: "str | None"):
        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        if authority is None:
            context.verify_mode = tls.CERT_OPTIONAL  # shows the certificate, whatever it is
            return context
        with open(folder + "/authority-" + authority + ".der", "rb") as file:
            octets = file.read()
        context.verify_mode = tls.CERT_REQUIRED
        context.load_verify_locations(octets)
        return context

    return make


async def loop_turn() -> None:
    """Let the clock begin to watch before anything is in flight."""
    await asyncio.sleep_ms(0)
