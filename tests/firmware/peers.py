"""Small real peers on 127.0.0.1 for the probes' tests: each answers as its rule says, in a thread of its own."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Answer = Callable[[bytes, int], list[bytes]]
"""(datagram, how many came before it) -> datagrams to send back, in order."""


@contextmanager
def udp_peer(answer: Answer) -> Iterator[tuple[int, list[bytes]]]:
    """Run a UDP peer; gives its port and the list of what it received."""
    received: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(0.05)
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                try:
                    octets, sender = sock.recvfrom(4096)
                except TimeoutError:
                    continue
                received.append(octets)
                for reply in answer(octets, len(received) - 1):
                    sock.sendto(reply, sender)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield sock.getsockname()[1], received
        finally:
            done.set()
            thread.join()


def sip_response(request: bytes, status: int, *more: str, branch: str | None = None) -> bytes:
    """Return a response that copies what RFC 3261 8.2.6 says; branch: another one than the request's."""
    lines = request.decode().split("\r\n")
    copied = [line for line in lines if line.split(":")[0] in ("Via", "From", "To", "Call-ID", "CSeq")]
    if branch is not None:
        ours = request.decode().split("branch=")[1].split(";")[0]
        copied = [line.replace(ours, branch) for line in copied]
    return "\r\n".join([f"SIP/2.0 {status} Reason", *copied, *more, "Content-Length: 0", "", ""]).encode()


def dns_response(query: bytes, rcode: int = 0, records: tuple[bytes, ...] = (), **changes: bytes) -> bytes:
    """Return a response with the question echoed; changes: number, question (both as octets)."""
    head = struct.pack(">HHHHH", 0x8180 | rcode, 1, len(records), 0, 0)
    question = changes.get("question", query[12:])
    return changes.get("number", query[:2]) + head + question + b"".join(records)


def dns_record(kind: int, ttl_s: int, data: bytes, owner: bytes = b"\xc0\x0c") -> bytes:
    """Return a resource record of class IN; its owner is by default a pointer to the question's name."""
    return owner + struct.pack(">HHIH", kind, 1, ttl_s, len(data)) + data


class Reflector:
    """A STAMP Session-Reflector for the tests: stateful, copies padding, holds each packet for hold_s."""

    def __init__(self, drop_in: tuple[int, ...] = (), drop_out: tuple[int, ...] = (), hold_s: float = 0) -> None:
        self.drop_in, self.drop_out, self.hold_s = drop_in, drop_out, hold_s
        self.counted = 0

    def __call__(self, packet: bytes, _: int) -> list[bytes]:
        sequence, sent, estimate, ssid = struct.unpack(">IQHH", packet[:16])
        if sequence in self.drop_in:
            return []
        received = (time.monotonic_ns() << 32) // 1_000_000_000
        time.sleep(self.hold_s)
        left = (time.monotonic_ns() << 32) // 1_000_000_000
        own = struct.pack(">IQHHQ", self.counted, left, 0x9664, ssid, received)
        reply = own + struct.pack(">IQHHB3x", sequence, sent, estimate, 0, 64)
        self.counted += 1
        return [] if sequence in self.drop_out else [reply + packet[44:]]
