"""TLS in front of a TCP peer, in this process: `TlsServer(broker, certificate, key)` is a peer like the broker."""

from __future__ import annotations

import ssl
from pathlib import Path

from simulations.board.python_peers import TcpConnection, TcpPeer, TcpSession


class TlsServer:
    """Speaks TLS 1.2 as the boards do. `handshakes` counts those that were done."""

    def __init__(self, peer: TcpPeer, certificate: Path, key: Path) -> None:
        self._peer = peer
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = self._context.maximum_version = ssl.TLSVersion.TLSv1_2
        self._context.load_cert_chain(certificate, key)
        self.handshakes = 0
        self.failures = 0

    def accept(self, connection: TcpConnection) -> TlsSession:
        return TlsSession(self, self._peer, connection, self._context)


class TlsSession:
    """One connection; the peer's session begins when the handshake is done."""

    def __init__(self, server: TlsServer, peer: TcpPeer, connection: TcpConnection, context: ssl.SSLContext) -> None:
        self._server = server
        self._peer = peer
        self._connection = connection
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._session: TcpSession | None = None

    def received(self, data: bytes, now_us: int) -> bytes:
        if not data:
            if self._session is not None:
                self._session.received(b"", now_us)
            return b""
        self._in.write(data)
        try:
            if self._session is None:
                self._tls.do_handshake()
                self._server.handshakes += 1
                self._session = self._peer.accept(self)
            while plain := self._tls.read(16384):
                if answer := self._session.received(plain, now_us):
                    self._tls.write(answer)
        except ssl.SSLWantReadError:
            return self._out.read()
        except ssl.SSLError:
            # The client refused our certificate.
            self._server.failures += 1
            self._connection.end()
        return self._out.read()

    def push(self, data: bytes) -> None:
        self._tls.write(data)
        self._connection.push(self._out.read())

    def end(self) -> None:
        self._connection.end()
