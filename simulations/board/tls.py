"""TLS of the board's sockets, done by CPython's ssl over the board's own TCP connection."""

from __future__ import annotations

import base64
import ssl
import tempfile

from simulations.board.ports import ECONNRESET, TcpPort

# mbedTLS's numbers, as the firmware sees them in OSError.errno.
CERTIFICATE_VERIFY_FAILED = -0x2700
FATAL_ALERT = -0x7780
CERT_OPTIONAL, CERT_REQUIRED = 1, 2
PROTOCOL_SERVER = 1
# What mbedTLS says of a certificate that does not hold (x509_crt.h), by OpenSSL's reason; 0 for any other.
WORDS = {
    0: "The certificate is not correctly signed by the trusted CA",
    9: "The certificate validity starts in the future",
    10: "The certificate validity has expired",
    62: "The certificate Common Name (CN) does not match with the expected CN",
    64: "The certificate Common Name (CN) does not match with the expected CN",
}


class TlsContext:
    """Certificates and keys of one SSLContext."""

    def __init__(self, protocol: int) -> None:
        server = protocol == PROTOCOL_SERVER
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        # The boards' mbedTLS is built for TLS 1.2 alone.
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.maximum_version = ssl.TLSVersion.TLSv1_2
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE
        self._key = b""

    def trust(self, octets: bytes) -> bool:
        """Trust the authority `octets` (DER or PEM); whether it is one."""
        try:
            self._context.load_verify_locations(cadata=octets.decode() if octets.startswith(b"-----") else octets)
        except (ssl.SSLError, ValueError):
            return False
        return True

    def set_key(self, octets: bytes) -> bool:
        """The private key of the certificate that follows."""
        self._key = octets
        return bool(octets)

    def set_certificate(self, octets: bytes) -> bool:
        """The certificate of the key before; whether they fit."""
        with tempfile.NamedTemporaryFile() as certificate, tempfile.NamedTemporaryFile() as key:
            certificate.write(_pem(octets, "CERTIFICATE"))
            key.write(_pem(self._key, "PRIVATE KEY"))
            certificate.flush()
            key.flush()
            try:
                self._context.load_cert_chain(certificate.name, key.name)
            except (ssl.SSLError, OSError):
                return False
        return True

    def wrap(self, port: TcpPort, verify: int, server: bool, hostname: str | None) -> TlsPort:
        """TLS over `port`, its handshake started."""
        self._context.check_hostname = False
        # mbedTLS's optional verification of a server fails no handshake; CPython's would.
        optional = verify == CERT_OPTIONAL and not server
        self._context.verify_mode = ssl.CERT_NONE if optional else ssl.VerifyMode(verify)
        self._context.check_hostname = verify == CERT_REQUIRED and not server
        return TlsPort(port, self._context, server, hostname)


class TlsPort(TcpPort):
    """The plaintext side: connected once the handshake is done."""

    def __init__(self, port: TcpPort, context: ssl.SSLContext, server: bool, hostname: str | None) -> None:
        super().__init__()
        self._port = port
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._unsent = bytearray()
        self._pumping = False
        # The last octets of a handshake make the socket readable, though nothing can be read: mbedTLS gets on with it
        # in the next read or write, whichever it is.
        self.stirred = False
        self.words = ""
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server, hostname)
        self.changed = port.changed
        port.changed = self._pump
        self._pump()

    def room(self) -> int:
        return self._port.room() if self.connected and not self.error and not self._unsent else 0

    def send(self, data: bytes) -> int:
        self.stirred = False
        data = data[: min(self.room(), 4096)]
        if data:
            self._tls.write(data)
            self._flush()
        return len(data)

    def consumed(self) -> None:
        self._pump()

    def close(self) -> None:
        if self.connected and not self.error:
            try:
                self._tls.unwrap()
            except ssl.SSLError:
                # The peer's own close_notify is not waited for.
                self._flush()
            self._flush()
        self._port.close()

    def abandon(self) -> None:
        self._port.abandon()

    def certificate(self) -> bytes:
        """The peer's, in DER; empty when it showed none, and before the handshake is done."""
        if not self.connected:
            return b""
        return self._tls.getpeercert(binary_form=True) or b""

    def cipher(self) -> tuple[str, str]:
        """Suite and protocol version."""
        suite = self._tls.cipher()
        return (suite[0] if suite else "", self._tls.version() or "")

    def _flush(self) -> None:
        self._unsent += self._outgoing.read()
        if self._unsent and self._port.connected:
            # Taken out first: the port may call `changed` from within.
            data, self._unsent = bytes(self._unsent), bytearray()
            sent = self._port.send(data)
            self._unsent[:0] = data[sent:]

    def _pump(self) -> None:
        if self._pumping:
            return
        self._pumping = True
        if self._port.received:
            self._incoming.write(bytes(self._port.received))
            self._port.received.clear()
            self._port.consumed()
        if self._port.end_of_stream and not self._incoming.eof:
            self._incoming.write_eof()
        if self._port.connected and not self.error:
            self._advance()
        self._flush()
        if self._port.error and not self.error:
            self.error = self._port.error
        self._pumping = False
        self.changed()

    def _advance(self) -> None:
        try:
            if not self.connected:
                self._tls.do_handshake()
                self.connected = self.stirred = True
            while not self.end_of_stream:
                data = self._tls.read(16384)
                if data:
                    self.received += data
                else:
                    self.end_of_stream = True
        except ssl.SSLWantReadError:
            return
        except ssl.SSLCertVerificationError as problem:
            self.error = CERTIFICATE_VERIFY_FAILED
            self.words = WORDS.get(problem.verify_code, WORDS[0])
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self.end_of_stream = True
            if not self.connected:
                self.error = ECONNRESET
        except ssl.SSLError:
            self.error = FATAL_ALERT


def _pem(octets: bytes, label: str) -> bytes:
    if octets.startswith(b"-----"):
        return octets
    body = base64.encodebytes(octets).decode()
    return f"-----BEGIN {label}-----\n{body}-----END {label}-----\n".encode()
