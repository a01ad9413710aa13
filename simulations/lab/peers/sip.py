"""A SIP user agent server that answers OPTIONS over UDP and TCP (RFC 3261 section 11.2), and nothing else.

Answers go where RFC 3261 18.2.2 and RFC 3581 section 4 say: with `rport` in the top Via to the source address and port,
which are written into `received` and `rport`; else to the source address and the port of `sent-by`. Other methods get
405 with Allow; ACK gets nothing; a request without the fields that RFC 3261 8.1.1 demands gets 400.
"""

import hashlib
import re
import socket
from dataclasses import dataclass

from simulations.lab.peers.peer import Address, Peer, Reply, Settings, TcpEnd, UdpEnd, open_both
from simulations.lab.peers.sip_message import (
    Malformed,
    SipRequest,
    content_length,
    mark_via,
    parse_datagram,
    parse_head,
    read_head,
)

REASONS = {
    200: "OK",
    302: "Moved Temporarily",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    429: "Provide Referrer Identity",
    480: "Temporarily Unavailable",
    483: "Too Many Hops",
    486: "Busy Here",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Server Time-out",
    603: "Decline",
}

_DEMANDED = ("via", "from", "to", "call-id", "cseq", "max-forwards")


@dataclass(frozen=True)
class SipSettings(Settings):
    """`code` answers OPTIONS; `retry_after_s` adds Retry-After to it (RFC 3261 20.33)."""

    code: int = 200
    retry_after_s: int | None = None


class SipResponder(Peer[SipSettings]):
    """Answers OPTIONS on UDP and TCP of one port number."""

    name = "sip"

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(SipSettings(), host, port)

    def answer(self, request: SipRequest, source: Address) -> tuple[bytes, Address, int] | None:
        """The response, where it goes, and its code; None for an ACK. Raises Malformed when nothing can be answered."""
        if request.method == "ACK":
            return None
        vias = request.all("via")
        if not vias:
            raise Malformed("no Via")
        top, to = mark_via(vias[0], source)
        code = self._code(request)
        lines = [f"SIP/2.0 {code} {REASONS.get(code, 'Unknown')}"]
        lines += [f"Via: {via}" for via in [top, *vias[1:]]]
        lines += [f"From: {request.first('from')}", f"To: {self._to(request)}"]
        lines += [f"Call-ID: {request.first('call-id')}", f"CSeq: {request.first('cseq')}"]
        lines += self._extra(code)
        return ("\r\n".join([*lines, "Content-Length: 0", "", ""])).encode(), to, code

    def _code(self, request: SipRequest) -> int:
        number, _, method = request.first("cseq").partition(" ")
        if any(not request.first(name) for name in _DEMANDED) or not number.isdecimal() or method != request.method:
            return 400
        return self.settings.code if request.method == "OPTIONS" else 405

    def _extra(self, code: int) -> list[str]:
        lines = ["Server: linewitness-lab"]
        if code in (200, 405):
            lines += ["Allow: OPTIONS", "Accept: application/sdp"]
        if code in (401, 407):
            field = "WWW-Authenticate" if code == 401 else "Proxy-Authenticate"
            lines.append(f'{field}: Digest realm="lab", nonce="84a4cc6f3082121f32b42a2187831a9e", algorithm=MD5')
        if self.settings.retry_after_s is not None and code == self.settings.code:
            lines.append(f"Retry-After: {self.settings.retry_after_s}")
        return lines

    def _to(self, request: SipRequest) -> str:
        """To with a tag, the same for a retransmission (RFC 3261 8.2.6.2)."""
        to = request.first("to")
        if re.search(r";\s*tag=", to):
            return to
        same = f"{request.first('call-id')} {request.first('cseq')} {request.first('from')}"
        return f"{to};tag={hashlib.sha256(same.encode()).hexdigest()[:8]}"

    def _decide(self, request: SipRequest, source: Address, transport: str) -> tuple[bytes, Address] | None:
        settings = self.settings
        what = f"{transport} {request.method} {request.uri}"
        if settings.silent:
            self.log(source, what, "silent")
            return None
        answered = self.answer(request, source)
        self.log(source, what, str(answered[2]) if answered else "none")
        return answered[:2] if answered else None

    def _on_datagram(self, datagram: bytes, source: Address) -> Reply | None:
        if not datagram.strip(b"\r\n\0 "):
            return None  # keep-alive
        try:
            answered = self._decide(parse_datagram(datagram), source, "udp")
        except Malformed as problem:
            self.log(source, f"udp {problem}", "malformed")
            return None
        return Reply(answered[0], self.settings.delay_ms, answered[1]) if answered else None

    def _on_connection(self, connection: socket.socket, source: Address) -> None:
        stream = connection.makefile("rb")
        try:
            while head := read_head(stream):
                request = parse_head(head)
                stream.read(content_length(request) or 0)
                answered = self._decide(request, source, "tcp")
                if answered:
                    self.pause()
                    connection.sendall(answered[0])
        except Malformed as problem:
            self.log(source, f"tcp {problem}", "malformed")

    def _open(self, host: str, port: int) -> list[UdpEnd | TcpEnd]:
        return open_both(host, port, self._on_datagram, self._on_connection)
