"""A TCP listener, plain or TLS, that echoes what it gets: for connect times, and for ports that say nothing."""

import socket
import ssl
from dataclasses import dataclass

from simulations.lab.peers.peer import Address, Peer, Settings, TcpEnd, UdpEnd, connection_handler


@dataclass(frozen=True)
class TcpSettings(Settings):
    """`silent` accepts and never echoes; `close` accepts and closes at once."""

    close: bool = False


class TcpEcho(Peer[TcpSettings]):
    """Echoes each connection's octets until the client is done. Stopped, its port answers with a reset."""

    name = "tcp"

    def __init__(self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(TcpSettings(), host, port)
        self._tls = tls

    def _on_connection(self, connection: socket.socket, source: Address) -> None:
        settings = self.settings
        self.log(source, "connect", "silent" if settings.silent else "closed" if settings.close else "echo")
        if settings.close:
            return
        while octets := connection.recv(65536):
            if not self.settings.silent:
                self.pause()
                connection.sendall(octets)

    def _open(self, host: str, port: int) -> list[UdpEnd | TcpEnd]:
        return [TcpEnd(host, port, connection_handler(self._on_connection), self._tls)]
