"""One HTTP request over a connection of its own (RFC 9112), for talking to the default gateway. Nothing blocks.

    status = await exchange(socket, address, port, encode_get(...), body.extend)

Whoever calls sets the time limit (asyncio.wait_for_ms); the connection is closed however it ends.
"""

import asyncio
import errno

from witness.sockets import Ready

IN_PROGRESS = (errno.EINPROGRESS, errno.EAGAIN, 119)  # 119: EINPROGRESS of the ESP32's C library
HEAD_MAX_OCTETS = 2048
PIECE_OCTETS = 512


class Malformed(ValueError):
    """The octets are no HTTP response."""


def encode_get(host: str, path: str) -> bytes:
    """Return a GET; host with its port."""
    return ("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (path, host)).encode()


def encode_post(host: str, path: str, action: str, body: bytes) -> bytes:
    """Return a SOAP POST (UPnP Device Architecture 1.1, 3.1.1)."""
    head = (
        "POST %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Length: %d\r\n"
        'Content-Type: text/xml; charset="utf-8"\r\nSOAPAction: "%s"\r\n\r\n'
    )
    return (head % (path, host, len(body), action)).encode() + body


def decode_head(octets: bytes) -> tuple:
    """Return (status, length of the body or None) of a response's head. Raises Malformed."""
    lines = octets.split(b"\r\n")
    words = lines[0].split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise Malformed("no status line")
    length = None
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            length = int(value.strip())
    return int(words[1]), length


async def exchange(socket, address: str, port: int, request: bytes, take) -> int:
    """Send a request, give the body to take(octets) in pieces; return the status. Raises OSError or Malformed."""
    peer = socket.getaddrinfo(address, port)[0][-1]  # a dotted address: asks no name server
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await _connect(sock, peer)
        await _send(sock, request)
        return await _receive(sock, take)
    finally:
        sock.close()


async def _connect(sock, peer: object) -> None:
    try:
        sock.connect(peer)
    except OSError as error:
        if error.errno not in IN_PROGRESS:
            raise
        await Ready(sock, write=True).wait()


async def _send(sock, octets: bytes) -> None:
    while octets:
        try:
            octets = octets[sock.send(octets) :]
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
            await Ready(sock, write=True).wait()


async def _receive(sock, take) -> int:
    head = b""
    status = left = None
    while True:
        await Ready(sock).wait()
        try:
            piece = sock.recv(PIECE_OCTETS)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                continue
            raise
        if not piece:
            break
        if status is None:
            head += piece
            end = head.find(b"\r\n\r\n")
            if end < 0:
                if len(head) > HEAD_MAX_OCTETS:
                    raise Malformed("a head without end")
                continue
            status, left = decode_head(head[:end])
            piece = head[end + 4 :]
        take(piece)
        if left is not None:
            left -= len(piece)
            if left <= 0:
                break
        await asyncio.sleep_ms(0)
    if status is None:
        raise Malformed("closed before a response")
    return status
