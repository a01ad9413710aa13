"""An SNTP server (RFC 5905 section 7.3, RFC 4330) whose clock can be put wrong on purpose."""

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from simulations.lab.peers.peer import Address, Peer, Reply, Settings, TcpEnd, UdpEnd

NTP_EPOCH_S = 2_208_988_800  # seconds from 1900 to 1970
_PACKET_OCTETS = 48
_CLIENT, _SERVER = 3, 4
_ALARM = 3
_PRECISION = -20  # log2 seconds: about a microsecond


@dataclass(frozen=True)
class SntpSettings(Settings):
    """`offset_ms` is added to the true time. `kiss`: a kiss code of four letters (RATE, DENY, RSTR) at stratum 0."""

    offset_ms: float = 0
    stratum: int = 2
    leap: int = 0
    kiss: str | None = None
    root_delay_ms: float = 1
    root_dispersion_ms: float = 1


def ntp_timestamp(unix_ns: int) -> bytes:
    """A 64-bit NTP timestamp (RFC 5905 section 6) of nanoseconds since 1970, era by wrap."""
    seconds, rest_ns = divmod(unix_ns, 1_000_000_000)
    return struct.pack("!II", (seconds + NTP_EPOCH_S) & 0xFFFFFFFF, (rest_ns << 32) // 1_000_000_000)


def _short(milliseconds: float) -> int:
    """The 32-bit NTP short format: seconds in 16.16 fixed point."""
    return round(milliseconds * 65.536)


class SntpServer(Peer[SntpSettings]):
    """Answers client requests (mode 3) of versions 3 and 4; anything else is noted as malformed and not answered."""

    name = "sntp"

    def __init__(self, host: str = "127.0.0.1", port: int = 0, unix_ns: Callable[[], int] = time.time_ns) -> None:
        super().__init__(SntpSettings(), host, port)
        self._unix_ns = unix_ns

    def answer(self, request: bytes, received_ns: int, transmit_ns: int) -> bytes:
        """The 48-octet reply to a well-formed request; times in nanoseconds since 1970, wrong by `offset_ms`."""
        settings = self.settings
        offset_ns = round(settings.offset_ms * 1e6)
        leap = _ALARM if settings.kiss else settings.leap
        version = request[0] >> 3 & 7
        head = struct.pack(
            "!BBbbII4s",
            leap << 6 | version << 3 | _SERVER,
            0 if settings.kiss else settings.stratum,
            request[2],
            _PRECISION,
            _short(settings.root_delay_ms),
            _short(settings.root_dispersion_ms),
            settings.kiss.encode() if settings.kiss else self._reference_id(),
        )
        reference = ntp_timestamp(received_ns + offset_ns - 16_000_000_000)
        times = [request[40:48], ntp_timestamp(received_ns + offset_ns), ntp_timestamp(transmit_ns + offset_ns)]
        return head + reference + b"".join(times)

    def _reference_id(self) -> bytes:
        return b"GPS\0" if self.settings.stratum == 1 else bytes((127, 127, 1, 0))

    def _on_datagram(self, datagram: bytes, source: Address) -> Reply | None:
        received_ns = self._unix_ns()
        settings = self.settings
        if len(datagram) < _PACKET_OCTETS or datagram[0] & 7 != _CLIENT or datagram[0] >> 3 & 7 not in (3, 4):
            self.log(source, f"{len(datagram)} octets {datagram[:1].hex()}", "malformed")
            return None
        self.log(
            source, "client request", "silent" if settings.silent else settings.kiss or f"{settings.offset_ms:g} ms"
        )
        if settings.silent:
            return None
        return Reply(self.answer(datagram, received_ns, self._unix_ns()), settings.delay_ms)

    def _open(self, host: str, port: int) -> list[UdpEnd | TcpEnd]:
        return [UdpEnd(host, port, self._on_datagram)]
