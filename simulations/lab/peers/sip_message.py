"""SIP requests as a server reads them: octets in, values out (RFC 3261 section 7, RFC 3581). No sockets."""

import re
from typing import BinaryIO, NamedTuple

from simulations.lab.peers.peer import Address

HEAD_LIMIT_OCTETS = 65_536  # a longer header is refused, so that a client cannot make us hold its stream for ever

_COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "l": "content-length", "m": "contact", "k": "supported"}


class Malformed(ValueError):
    """The octets are no SIP request; the message says why."""


class SipRequest(NamedTuple):
    """A parsed request. `headers` keep their order and repetitions, names in lower case and long form."""

    method: str
    uri: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each == name]

    def first(self, name: str) -> str:
        """The first value of a header field, empty when there is none."""
        return next(iter(self.all(name)), "")


def parse_head(head: bytes) -> SipRequest:
    """The request line and header fields of a message, `head` ending before the empty line. Raises Malformed."""
    try:
        text = head.decode()
    except UnicodeDecodeError:
        raise Malformed("header is not UTF-8") from None
    first, *lines = re.sub(r"\r\n[ \t]+", " ", text).split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or words[2] != "SIP/2.0":
        raise Malformed(f"bad request line {first[:60]!r}")
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise Malformed(f"bad header line {line[:60]!r}")
        name = name.strip().lower()
        headers.append((_COMPACT.get(name, name), value.strip()))
    return SipRequest(words[0], words[1], tuple(headers), b"")


def content_length(request: SipRequest) -> int | None:
    """Content-Length in octets, None when absent. Raises Malformed."""
    value = request.first("content-length")
    if value and not re.fullmatch(r"[0-9]{1,9}", value):
        raise Malformed(f"bad Content-Length {value[:20]!r}")
    return int(value) if value else None


def parse_datagram(datagram: bytes) -> SipRequest:
    """A whole request in one datagram (RFC 3261 18.3: a body shorter than Content-Length is an error)."""
    head, empty_line, body = datagram.partition(b"\r\n\r\n")
    if not empty_line:
        raise Malformed("no empty line after the header")
    request = parse_head(head)
    length = content_length(request)
    if length is not None and length > len(body):
        raise Malformed(f"body of {len(body)} octets, Content-Length {length}")
    return request._replace(body=body if length is None else body[:length])


def mark_via(via: str, source: Address) -> tuple[str, Address]:
    """The top Via with received and rport filled in, and where the answer goes (UDP). Raises Malformed."""
    match = re.fullmatch(r"SIP\s*/\s*2\.0\s*/\s*\w+\s+([^;,\s]+)((?:\s*;[^,]*)?)(,.*)?", via)
    if match is None:
        raise Malformed(f"bad Via {via[:60]!r}")
    host, _, port = match[1].partition(":")
    if port and not (re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65536):
        raise Malformed(f"bad port in Via {via[:60]!r}")
    if re.search(r";\s*rport\s*(?:;|,|$)", via):
        marked = re.sub(r";\s*rport\s*(?=;|,|$)", f";rport={source[1]};received={source[0]}", via, count=1)
        return marked, source
    if host != source[0]:
        at = match.end(2)
        via = f"{via[:at]};received={source[0]}{via[at:]}"
    return via, (source[0], int(port or 5060))


def read_head(stream: BinaryIO) -> bytes:
    """The header of the next message of a stream, without its empty line; empty at the end of the stream.

    Leading empty lines are skipped (RFC 3261 7.5). Raises Malformed past HEAD_LIMIT_OCTETS.
    """
    lines: list[bytes] = []
    octets = 0
    while line := stream.readline(HEAD_LIMIT_OCTETS):
        octets += len(line)
        if octets > HEAD_LIMIT_OCTETS:
            raise Malformed(f"header longer than {HEAD_LIMIT_OCTETS} octets")
        if line.strip():
            lines.append(line.rstrip(b"\r\n"))
        elif lines:
            return b"\r\n".join(lines)
    return b""
