"""What the lab's HTTP peers share: HTTP/1.1 on a thread a connection, faults on request, no files served."""

import threading
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple, TypeVar

from simulations.lab.peers.peer import Peer, Settings, TcpEnd, UdpEnd

BODY_LIMIT_OCTETS = 1 << 20


@dataclass(frozen=True)
class HttpSettings(Settings):
    """`code` answers every request so, with `retry_after_s` as Retry-After, e.g. 429 or 503."""

    code: int | None = None
    retry_after_s: int | None = None


class Response(NamedTuple):
    """Status code, content type, body, and more header fields."""

    code: int
    content_type: str = "text/plain"
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


HttpSettingsT = TypeVar("HttpSettingsT", bound=HttpSettings)


class HttpPeer(Peer[HttpSettingsT]):
    """A peer that answers HTTP through `respond`."""

    def __init__(self, settings: HttpSettingsT, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(settings, host, port)
        self._stopped = threading.Event()

    @property
    def url(self) -> str:
        """Base URL without a slash at its end."""
        return f"http://{self.address[0]}:{self.address[1]}"

    @abstractmethod
    def respond(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Response:
        """The answer to one request; `path` without its query, `headers` by their names in lower case."""

    def stop(self) -> None:
        self._stopped.set()
        super().stop()

    def _open(self, host: str, port: int) -> list[UdpEnd | TcpEnd]:
        self._stopped = threading.Event()
        return [TcpEnd(host, port, _handler(self, self._stopped))]


def _handler(peer: HttpPeer[HttpSettingsT], stopped: threading.Event) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "linewitness-lab"
        sys_version = ""
        timeout = 30

        def _serve(self) -> None:
            what = f"{self.command} {self.path}"
            length = self.headers.get("Content-Length", "0")
            if not length.isdecimal() or int(length) > BODY_LIMIT_OCTETS:
                self.close_connection = True
                self._send(what, Response(413))
                return
            body = self.rfile.read(int(length))
            settings = peer.settings
            if settings.silent:
                peer.log(self.client_address, what, "silent")
                stopped.wait()
                self.close_connection = True
                return
            peer.pause()
            if settings.code is not None:
                self._send(what, Response(settings.code))
            else:
                headers = {name.lower(): value for name, value in self.headers.items()}
                self._send(what, peer.respond(self.command, self.path.partition("?")[0], headers, body))

        do_GET = do_HEAD = do_POST = _serve

        def _send(self, what: str, response: Response) -> None:
            peer.log(self.client_address, what, str(response.code))
            self.send_response(response.code)
            for name, value in response.headers:
                self.send_header(name, value)
            if peer.settings.retry_after_s is not None and response.code == peer.settings.code:
                self.send_header("Retry-After", str(peer.settings.retry_after_s))
            if response.code != 304:
                self.send_header("Content-Type", response.content_type)
                self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            if self.command != "HEAD" and response.code != 304:
                self.wfile.write(response.body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing on stderr: the peer's own log has it."""

    return Handler
