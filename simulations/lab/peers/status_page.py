"""A provider's status page over HTTP: Statuspage v2 documents, weak ETags, conditional GET (RFC 9110 13.1.2).

page = StatusPage().start()
incident = page.board.post_incident("Calls fail", started_at=..., created_at=...)
page.board.edit(incident, started_at=...)          # no trace but in what others archived
"""

import hashlib
import json
import threading
from collections.abc import Mapping
from typing import Any

from simulations.lab.peers.http import HttpPeer, HttpSettings, Response
from simulations.lab.peers.peer import PeerError, TcpEnd, UdpEnd
from simulations.lab.peers.status_board import StatusBoard

CHANGES = ("post_incident", "schedule_maintenance", "post_update", "resolve", "edit", "edit_update", "delete")

_ROOT = "/api/v2/"


class StatusPage(HttpPeer[HttpSettings]):
    """Serves its `board`. Change the board through `change` when requests come at the same moment."""

    name = "status"

    def __init__(self, board: StatusBoard | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(HttpSettings(), host, port)
        self.board = board or StatusBoard()
        self._lock = threading.Lock()

    def change(self, what: str, **arguments: Any) -> Any:
        """Call the board's method `what`, e.g. change("post_incident", name="Calls fail"), between requests."""
        if what not in CHANGES:
            raise PeerError(f"the status page cannot {what!r}; try one of {', '.join(CHANGES)}")
        with self._lock:
            return getattr(self.board, what)(**arguments)

    def respond(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Response:
        if method not in ("GET", "HEAD"):
            return Response(405, headers=(("Allow", "GET, HEAD"),))
        with self._lock:
            document = self.board.documents().get(path.removeprefix(_ROOT)) if path.startswith(_ROOT) else None
        if document is None:
            return Response(404)
        octets = json.dumps(document).encode()
        etag = f'W/"{hashlib.sha256(octets).hexdigest()[:32]}"'
        fields = (("ETag", etag), ("Cache-Control", "max-age=0, private, must-revalidate"))
        if _matches(headers.get("if-none-match", ""), etag):
            return Response(304, headers=fields)
        return Response(200, "application/json; charset=utf-8", octets, fields)

    def _open(self, host: str, port: int) -> list[UdpEnd | TcpEnd]:
        ends = super()._open(host, port)
        self.board.url = f"http://{host}:{ends[0].port}"
        return ends


def _matches(if_none_match: str, etag: str) -> bool:
    """Weak comparison (RFC 9110 8.8.3.2) of a field value with the current tag."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag.removeprefix("W/") in tags
