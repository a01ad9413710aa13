"""Brings the journal's batches to the collector over MQTT, in order, and takes its acknowledgements and commands.

The journal moves on when the *collector* has acknowledged the oldest batch that is under way (envelope.Ack with its
number and digest, authentic) - never for the broker's own word. One is under way at a time, so that a collector that
begins to listen misses none; in a back-fill one more with each acknowledgement, up to UNDER_WAY. When RESEND_MS bring
none, it begins anew with the oldest. Nothing is sent while a call-quality window runs, and PACE_MS lie between two
batches, so that a back-fill takes a small part of the line.

A lost connection is made again after a back-off of 1 s that doubles to 60 s. The TLS handshake stalls the small boards
for a second or two: it is begun and ended in a housekeeping slot, but for the first after boot, which takes `quiet`.

Topics: linewitness/1/SITE/WITNESS/ batch, ack, state ("online", and "offline" as last will, retained), command.
"""

import asyncio
import errno
import socket

from linewitness_wire import codes, cose, envelope
from linewitness_wire.errors import WireError

from .journal import Entry
from .mqtt import Connection, Gone, MqttProblem, Refused, connect_packet
from .resolver import Unresolved
from .sockets import Bell, Ready

BACK_OFF_S = (1, 2, 4, 8, 15, 30, 60)
GOOD_LIFE_US = 30_000_000
RESEND_MS = 10_000
CONNECT_MS = 8_000
UNDER_WAY = 6
PACE_MS = 100  # between batches of a back-fill: some 80 kbit/s
HANDSHAKE_US = 4_000_000  # what must be left of a slot to begin one
IN_PROGRESS = (errno.EINPROGRESS, errno.EAGAIN, 119)  # 119: EINPROGRESS of the ESP32's C library
LOOK_MS = 1_000
LINK_MS = 250
CERTIFICATE_REFUSED = "The certificate"  # how mbedTLS's words begin about one that does not hold (ValueError)


class Uplink:
    """tls: makes the ssl context, or None for a plain connection (see tls_context); command(envelope.Command) hears of
    authentic commands; log(text) of what the person at the branch could mend."""

    def __init__(self, clock, link, config, journal, resolver, quiet, slots, tls, command, event, log, random) -> None:
        self._clock = clock
        self._link = link
        self._config = config
        self._journal = journal
        self._resolver = resolver
        self._quiet = quiet
        self._slots = slots
        self._tls = tls
        self._command = command
        self._event = event
        self._log = log
        self._random = random
        self._place = "linewitness/1/%s/%s/" % (config.site, config.witness)
        self._connection: "Connection | None" = None
        self._reading: "asyncio.Task | None" = None
        self._under_way: "list[list]" = []  # [Entry without its octets, digest, acknowledged], in order
        self._limit = 1  # how many may be
        self._resend_us = 0
        self._something = Bell()  # a new batch, an acknowledgement or the end of the connection
        self._said = ""
        self._tries = 0
        self.failures = 0  # connections in a row that failed
        self.connected = False

    def wake(self) -> None:
        """There is a new batch."""
        self._something.ring()

    async def run(self, progress) -> None:
        """Keep connected and send, for ever."""
        while True:
            while not self._link.is_up():
                await self._wait(LINK_MS, progress)
            began_us = self._clock.now_us()
            try:
                await self._session(progress)
            except (MqttProblem, Unresolved, OSError, ValueError) as error:
                self._tell(error)
            finally:
                await self._drop()
            if self._clock.now_us() - began_us > GOOD_LIFE_US:
                self.failures = 0
            wait_ms = BACK_OFF_S[min(self.failures, len(BACK_OFF_S) - 1)] * 1000
            self.failures += 1
            await self._wait(wait_ms + self._random(wait_ms // 2), progress)

    async def _wait(self, duration_ms: int, progress) -> None:
        until_us = self._clock.now_us() + duration_ms * 1000
        while self._clock.now_us() < until_us:
            progress()
            await self._clock.sleep_ms(min(LOOK_MS, (until_us - self._clock.now_us()) // 1000 + 1))
        progress()

    def _tell(self, error: Exception) -> None:
        """Say once what is wrong, and what to try."""
        broker = self._config.broker
        where = "broker %s:%d" % (broker["host"], broker["port"])
        what = str(error)
        if isinstance(error, Refused):
            attempt = "correct broker.user and broker.password in config.json"
        elif CERTIFICATE_REFUSED in what:
            what = "the broker's certificate is of another authority, for another name or out of its time"
            attempt = "see that %s is of its authority and that broker.host is the name in it" % broker["ca"]
        elif isinstance(error, ValueError):
            what = "no certificate: %s" % error
            attempt = "put the certificate of the broker's authority into %s, in DER" % broker["ca"]
        else:
            attempt = "see that the broker runs and can be reached from this network"
        said = "uplink: %s (%s); try: %s" % (what, where, attempt)
        if said != self._said:
            self._said = said
            self._log(said)
            if isinstance(error, Refused):
                self._event(codes.EVENT_FAULT, codes.FAULT_CONFIG, self.failures + 1)

    # --- connecting ---

    async def _session(self, progress) -> None:
        connection = await self._connect(progress)
        self._said = ""
        self.connected = True
        self._reading = asyncio.create_task(self._read(connection, progress))
        await connection.subscribe([self._place + "ack", self._place + "command"])
        await connection.publish(self._place + "state", b"online", True)
        while True:
            progress()
            await connection.keep_alive()
            if not self._reading:
                raise Gone("closed by the broker")
            await self._send_next(connection, progress)

    async def _connect(self, progress) -> Connection:
        broker = self._config.broker
        address = (await self._resolver.address(broker["host"])).address
        progress()
        if self._tls is None:
            connection = await self._open(address, None, CONNECT_MS)
        elif not self._tries:
            self._tries = 1
            async with self._quiet:
                connection = await self._open(address, self._tls(), CONNECT_MS)
        else:
            await self._until_slot(progress)
            left_ms = max(self._slots.left_us(), HANDSHAKE_US) // 1000
            connection = await self._open(address, self._tls(), min(CONNECT_MS, left_ms))
        progress()
        return connection

    async def _until_slot(self, progress) -> None:
        """Return in a slot of which HANDSHAKE_US are left, or at the beginning of one."""
        slots = self._slots
        while 0 < slots.left_us() < HANDSHAKE_US:
            progress()
            await self._clock.sleep_ms(min(LOOK_MS, slots.left_us() // 1000 + 1))
        while not slots.left_us():
            progress()
            await self._clock.sleep_ms(min(LOOK_MS, slots.until_us() // 1000 + 1))

    async def _open(self, address: str, context, timeout_ms: int) -> Connection:
        broker = self._config.broker
        client = "%s.%s" % (self._config.site, self._config.witness)
        packet = connect_packet(client, broker["user"], broker["password"], self._place + "state", b"offline")
        sock = await self._open_socket(address, timeout_ms)
        if context is not None:
            sock = context.wrap_socket(sock, server_hostname=broker["host"], do_handshake_on_connect=False)
            sock.setblocking(False)
        # Set before the broker answers: whatever happens, what is open is closed.
        self._connection = connection = Connection(self._clock, sock, Ready(sock), Ready(sock, write=True), self._heard)
        await connection.connect(packet)
        return connection

    async def _open_socket(self, address: str, timeout_ms: int):
        """A connected socket. asyncio.open_connection would keep the one of an attempt that took too long."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        done = False
        try:
            sock.setblocking(False)
            try:
                sock.connect(socket.getaddrinfo(address, self._config.broker["port"])[0][-1])
            except OSError as error:
                if error.errno not in IN_PROGRESS:
                    raise
            await asyncio.wait_for_ms(Ready(sock, write=True).wait(), timeout_ms)
            done = True
        except asyncio.TimeoutError:
            raise Gone("no connection in %d s" % (timeout_ms // 1000))
        finally:
            if not done:
                sock.close()
        return sock

    async def _read(self, connection: Connection, progress) -> None:
        try:
            await connection.run(progress)
        except MqttProblem as error:
            self._tell(error)
        finally:
            self._reading = None
            self._something.ring()

    async def _drop(self) -> None:
        self.connected = False
        self._begin_anew()
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except OSError:
                pass  # it was gone already

    # --- sending ---

    async def _send_next(self, connection: Connection, progress) -> None:
        """Publish the next batch; without one to send, wait a while for one, or for an acknowledgement."""
        under_way = self._under_way
        entry = None
        if len(under_way) < self._limit:
            await self._quiet.over()
            entry = self._journal.next(under_way[-1][0] if under_way else None)
        if entry is None:
            self._something.rung = False
            await self._something.within(LOOK_MS)
            if not under_way or self._clock.now_us() >= self._resend_us:
                self._begin_anew()
            return
        if not under_way:
            self._resend_us = self._clock.now_us() + RESEND_MS * 1000
        sent = Entry(entry.kid, entry.seq, b"", None, entry.segment, entry.end, entry.trims)
        under_way.append([sent, cose.digest(entry.cose), False])
        await connection.send(self._place + "batch", envelope.encode_batch(entry.cose, entry.body))
        await self._clock.sleep_ms(PACE_MS)

    def _begin_anew(self) -> None:
        self._under_way = []
        self._limit = 1

    # --- hearing ---

    def _heard(self, topic: str, frame: bytes) -> None:
        config = self._config
        if not frame:
            return  # what the broker retained was taken off
        try:
            if topic == self._place + "ack":
                self._acknowledged(envelope.decode_ack(config.ack_secret, config.site, config.witness, frame))
            elif topic == self._place + "command":
                self._command(envelope.decode_command(config.ack_secret, config.site, config.witness, frame))
        except WireError as error:
            self._log("uplink: %s" % error)

    def _acknowledged(self, ack) -> None:
        """Let go of what is under way, as far as the collector has stored it without a gap."""
        under_way = self._under_way
        full = len(under_way) == self._limit
        for each in under_way:
            if each[0].seq == ack.seq and each[1] == ack.digest:
                each[2] = True
        while under_way and under_way[0][2]:
            self._journal.acknowledge(under_way.pop(0)[0], ack.anchor)
            self._resend_us = self._clock.now_us() + RESEND_MS * 1000
            if full:
                self._limit = min(self._limit + 1, UNDER_WAY)
        self._something.ring()


def tls_context(ssl, ca_path: str):
    """Return what makes the context: the broker's certificate must be of the authority in ca_path (DER) and bear the
    broker's name. Making it raises ValueError for a file that is no certificate, OSError where there is none."""

    def make():
        with open(ca_path, "rb") as file:
            authority = file.read()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=authority)
        return context

    return make
