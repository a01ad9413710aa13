"""A small ESPHome device for tests: the native API's framing, plain or under Noise, with aioesphomeapi's own messages.

aioesphomeapi has no server; this one speaks the documented protocol (frames 00 length type message, or 01 length with
Noise_NNpsk0_25519_ChaChaPoly_SHA256 inside) so far as a client that reads sensors needs it.
"""

from __future__ import annotations

import base64
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from aioesphomeapi import api_pb2
from aioesphomeapi.core import MESSAGE_TYPE_TO_PROTO
from noise.connection import NoiseConnection

NUMBERS = {proto: number for number, proto in MESSAGE_TYPE_TO_PROTO.items()}
NAME, MAC = b"ups-leeds", b"AABBCCDDEEFF"


def sensor(key: int, name: str, unit: str, device_class: str, state: float | None) -> list[Any]:
    """A sensor and its state, None for one that it does not have."""
    said = api_pb2.SensorStateResponse(key=key, state=state or 0.0, missing_state=state is None)
    info = api_pb2.ListEntitiesSensorResponse(
        object_id=name.lower().replace(" ", "_"),
        key=key,
        name=name,
        unit_of_measurement=unit,
        device_class=device_class,
    )
    return [info, said]


def binary(key: int, name: str, device_class: str, state: bool) -> list[Any]:
    """A binary sensor and its state."""
    info = api_pb2.ListEntitiesBinarySensorResponse(
        object_id=name.lower().replace(" ", "_"), key=key, name=name, device_class=device_class
    )
    return [info, api_pb2.BinarySensorStateResponse(key=key, state=state)]


class _Plain:
    def __init__(self, sock: socket.socket) -> None:
        self.file = sock.makefile("rwb")

    def read(self) -> tuple[int, bytes]:
        if self.file.read(1) != b"\0":
            raise ConnectionError("no plain frame")
        size, kind = self._varint(), self._varint()
        return kind, self.file.read(size)

    def _varint(self) -> int:
        value = shift = 0
        while True:
            octet = self.file.read(1)
            if not octet:
                raise ConnectionError("gone")
            value |= (octet[0] & 0x7F) << shift
            shift += 7
            if not octet[0] & 0x80:
                return value

    def write(self, kind: int, message: bytes) -> None:
        self.file.write(b"\0" + _varint(len(message)) + _varint(kind) + message)
        self.file.flush()


class _Noise:
    def __init__(self, sock: socket.socket, psk: bytes) -> None:
        self.file = sock.makefile("rwb")
        self._frame()  # the client's hello
        self._proto = NoiseConnection.from_name(b"Noise_NNpsk0_25519_ChaChaPoly_SHA256")
        self._proto.set_as_responder()
        self._proto.set_psks(psk)
        self._proto.set_prologue(b"NoiseAPIInit\0\0")
        self._proto.start_handshake()
        self._send(b"\x01" + NAME + b"\0" + MAC + b"\0")
        try:
            self._proto.read_message(self._frame()[1:])
        except Exception:
            self._send(b"\x01Handshake MAC failure")
            raise ConnectionError("another key") from None
        self._send(b"\0" + self._proto.write_message())

    def _frame(self) -> bytes:
        head = self.file.read(3)
        if len(head) < 3:
            raise ConnectionError("gone")
        if head[0] != 1:
            self._send(b"\x01Bad indicator byte")
            raise ConnectionError("a plain client")
        return self.file.read(struct.unpack(">H", head[1:])[0])

    def _send(self, octets: bytes) -> None:
        self.file.write(b"\x01" + struct.pack(">H", len(octets)) + octets)
        self.file.flush()

    def read(self) -> tuple[int, bytes]:
        message = self._proto.decrypt(self._frame())
        kind, size = struct.unpack(">HH", message[:4])
        return kind, bytes(message[4 : 4 + size])

    def write(self, kind: int, message: bytes) -> None:
        self._send(self._proto.encrypt(struct.pack(">HH", kind, len(message)) + message))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


@contextmanager
def device(entities: Sequence[list[Any]], key: str | None = None) -> Iterator[int]:
    """Serve a device with these entities on 127.0.0.1, under Noise with a key (base64); gives its port."""

    def answer(wire: _Plain | _Noise, kind: int) -> bool:
        def say(*messages: Any) -> None:
            for message in messages:
                wire.write(NUMBERS[type(message)], message.SerializeToString())

        name = MESSAGE_TYPE_TO_PROTO[kind].DESCRIPTOR.name
        if name == "HelloRequest":
            say(
                api_pb2.HelloResponse(api_version_major=1, api_version_minor=12, server_info="test", name=NAME.decode())
            )
        elif name in ("ConnectRequest", "AuthenticationRequest"):
            say(MESSAGE_TYPE_TO_PROTO[4]())
        elif name == "DeviceInfoRequest":
            info = {
                "name": NAME.decode(),
                "model": "esp32dev",
                "esphome_version": "2026.10.0",
                "mac_address": "AA:BB:CC:DD:EE:FF",
            }
            say(api_pb2.DeviceInfoResponse(**info))
        elif name == "ListEntitiesRequest":
            say(*(info for info, _ in entities), api_pb2.ListEntitiesDoneResponse())
        elif name == "SubscribeStatesRequest":
            say(*(state for _, state in entities))
        elif name == "PingRequest":
            say(api_pb2.PingResponse())
        elif name == "DisconnectRequest":
            say(api_pb2.DisconnectResponse())
            return False
        return True

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                wire = _Plain(self.request) if key is None else _Noise(self.request, base64.b64decode(key))
                while answer(wire, wire.read()[0]):
                    continue
            except OSError:
                return

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
