"""A small emulated network for the board's tests: one office, one provider, real peers on 127.0.0.1."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from simulations.board.device import Device, Settings
from simulations.board.profile import load_profile


@contextmanager
def udp_echo() -> Iterator[int]:
    """Port of a UDP echo server."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            data, address = server.recvfrom(2000)
            if data == b"stop":
                return
            server.sendto(data, address)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.sendto(b"stop", server.getsockname())
        thread.join()
        server.close()


@contextmanager
def tcp_echo() -> Iterator[int]:
    """Port of a TCP echo server, one client at a time."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            client, _ = server.accept()
            with client:
                while data := _receive(client):
                    if data == b"stop":
                        return
                    client.sendall(data)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        with socket.create_connection(server.getsockname()) as client:
            client.sendall(b"stop")
            thread.join()
        server.close()


def _receive(client: socket.socket) -> bytes:
    try:
        return client.recv(4096)
    except ConnectionResetError:
        return b""


@contextmanager
def powered(main: str, vm: str, profile: str = "esp32-devkitc", **settings: Any) -> Iterator[tuple[Device, bytearray]]:
    """A board that runs `main`, and what it prints."""
    printed = bytearray()
    device = Device(Settings(load_profile(profile), vm=vm, **settings), printed.extend)
    try:
        with device.unpowered_flash() as flash:
            flash.write_file("/main.py", main.encode())
        device.power_on()
        yield device, printed
    finally:
        device.close()


def play(device: Device, until: str, printed: bytearray, limit_s: int = 20) -> None:
    """Let the board run until it has printed a whole line with `until` in it."""
    end_us = device.scheduler.now_us() + limit_s * 1_000_000
    while b"\n" not in printed.partition(until.encode())[2]:
        assert device.scheduler.now_us() < end_us, printed.decode()
        device.turn(device.scheduler.now_us() + 20_000)


def office(udp_port: int = 9, tcp_port: int = 9) -> dict[str, Any]:
    """A gateway one link away and a provider's edge three links away, 2 ms each."""
    return {
        "mode": "emulated",
        "address": "192.168.1.50",
        "links": {"lan": {"delay_ms": 2}, "router": {"delay_ms": 2}, "access": {"delay_ms": 2}},
        "nodes": {
            "gateway": {"address": "192.168.1.1", "via": ["lan"]},
            "edge": {
                "address": "198.51.100.10",
                "via": ["lan", "router", "access"],
                "udp": {"5060": f"127.0.0.1:{udp_port}"},
                "tcp_peers": {"5061": f"127.0.0.1:{tcp_port}"},
            },
            "hole": {"address": "198.51.100.66", "via": ["lan"], "tcp": "drop", "icmp": False},
        },
    }


CONNECT_WIFI = """
import asyncio, network, socket, struct, time
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("office", "secret")
while not wlan.isconnected():
    time.sleep_ms(10)
"""


class EchoPeer:
    """A peer in the board's own process: echoes datagrams after 1 ms, and the octets of connections."""

    def datagram(self, data: bytes, source: tuple[str, int], now_us: int) -> list[tuple[int, bytes]]:
        """The same, a millisecond later."""
        return [(1000, data)]

    def accept(self, connection: object) -> "EchoPeer":
        """One object serves all connections."""
        return self

    def received(self, data: bytes, now_us: int) -> bytes:
        """The same."""
        return data
