"""A DNS server over UDP and TCP (RFC 1035, RFC 7766) that answers from a dict; dnslib does the wire format.

    {"sbc.lab": {"A": ["198.51.100.10"]},
     "_sip._udp.lab": {"SRV": ["10 60 5060 sbc.lab."]},
     "*.anchor.lab": {"A": ["192.0.2.1"]},          any one label in place of the star, for names that no cache knows
     "broken.lab": "SERVFAIL", "closed.lab": "REFUSED", "silent.lab": "SILENT"}

Record data is zone-file text. A name not in the zone is NXDOMAIN, another type of a known name is an empty NOERROR,
both with a SOA (RFC 2308). It looks like a resolver (RA set, AA clear) unless `authoritative`. The letters' case of the
question comes back as it was sent (DNS 0x20).
"""

import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

import dnslib

from simulations.lab.peers.peer import Address, Peer, PeerError, Reply, Settings, TcpEnd, UdpEnd, open_both

SILENT = "SILENT"
Records = Mapping[str, list[str]]
Zone = Mapping[str, Records | str]


@dataclass(frozen=True)
class DnsSettings(Settings):
    """`rcode` (e.g. "SERVFAIL") answers every question so; `ttl_s` goes into every record."""

    zone: Zone = field(default_factory=dict)
    rcode: str | None = None
    ttl_s: int = 60
    authoritative: bool = False

    def __post_init__(self) -> None:
        """Refuse here, by name, what could not be answered later. Raises PeerError."""
        for name, entry in self.zone.items():
            if isinstance(entry, str):
                _check_code(entry, f"zone entry {name!r}", (SILENT,))
                continue
            for kind, data in entry.items():
                for text in data:
                    try:
                        dnslib.RR.fromZone(f"x. 1 IN {kind} {text}")
                    except (dnslib.DNSError, ValueError, IndexError, KeyError) as problem:
                        where = f"zone entry {name!r}: {kind} {text!r}"
                        raise PeerError(f"bad record in {where}: {problem}; try zone-file text") from None
        if self.rcode is not None:
            _check_code(self.rcode, "rcode")


def _check_code(code: str, where: str, more: tuple[str, ...] = ()) -> None:
    known = (*dnslib.RCODE.reverse, *more)
    if code not in known:
        raise PeerError(f"unknown code {code!r} in {where}; try one of {', '.join(known)}")


class DnsServer(Peer[DnsSettings]):
    """Answers from `zone` on UDP and TCP of one port number."""

    name = "dns"

    def __init__(self, zone: Zone | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(DnsSettings(zone=zone or {}), host, port)

    def answer(self, question: bytes, source: Address, transport: str) -> bytes | None:
        """The response to one message, None for no response; notes it in the log."""
        try:
            query = dnslib.DNSRecord.parse(question)
        except dnslib.DNSError as problem:
            self.log(source, f"{transport} {problem}", "malformed")
            return None
        if query.header.qr or len(query.questions) != 1:
            self.log(source, f"{transport} not one question", "malformed")
            return None
        what = f"{transport} {dnslib.QTYPE[query.q.qtype]} {query.q.qname}"
        if self.settings.silent or self._entry(query.q.qname) == SILENT:
            self.log(source, what, "silent")
            return None
        reply = self._reply(query)
        self.log(source, what, dnslib.RCODE[reply.header.rcode])
        packed: bytes = reply.pack()
        if transport == "udp" and len(packed) > 512:
            packed = reply.truncate().pack()
        return packed

    def _entry(self, name: dnslib.DNSLabel) -> Records | str | None:
        """What the zone says of a name, the star for its first label when the name itself is not there."""
        text = str(name).rstrip(".").lower()
        zone = {key.rstrip(".").lower(): value for key, value in self.settings.zone.items()}
        return zone.get(text, zone.get("*." + text.partition(".")[2]))

    def _reply(self, query: dnslib.DNSRecord) -> dnslib.DNSRecord:
        settings = self.settings
        reply = query.reply(ra=not settings.authoritative, aa=settings.authoritative)
        entry = self._entry(query.q.qname)
        code = self._code(query, entry)
        # dnslib copies all of the question's header bits; these two are the answer's own.
        reply.header.rcode, reply.header.tc = getattr(dnslib.RCODE, code), 0
        if code == "NOERROR" and isinstance(entry, Mapping):
            self._fill(reply, query.q, entry)
        if not reply.rr and code in ("NOERROR", "NXDOMAIN"):
            soa = f". {settings.ttl_s} IN SOA ns.lab. hostmaster.lab. 1 3600 600 86400 {settings.ttl_s}"
            reply.add_auth(*dnslib.RR.fromZone(soa))
        return reply

    def _code(self, query: dnslib.DNSRecord, entry: Records | str | None) -> str:
        if query.header.opcode != dnslib.OPCODE.QUERY:
            return "NOTIMP"
        if self.settings.rcode is not None:
            return self.settings.rcode
        if isinstance(entry, str):
            return entry
        return "NXDOMAIN" if entry is None else "NOERROR"

    def _fill(self, reply: dnslib.DNSRecord, question: dnslib.DNSQuestion, records: Records) -> None:
        kind = dnslib.QTYPE[question.qtype]
        reply.add_answer(*self._records(question.qname, kind, records.get(kind, ())))
        if kind == "SRV":
            for each in list(reply.rr):
                known = self._entry(each.rdata.target)
                if isinstance(known, Mapping):
                    reply.add_ar(*self._records(each.rdata.target, "A", known.get("A", ())))

    def _records(self, name: dnslib.DNSLabel, kind: str, data: "list[str] | tuple[()]") -> list[dnslib.RR]:
        made = []
        for text in data:
            for record in dnslib.RR.fromZone(f"x. {self.settings.ttl_s} IN {kind} {text}"):
                record.rname = name
                made.append(record)
        return made

    def _on_datagram(self, datagram: bytes, source: Address) -> Reply | None:
        answer = self.answer(datagram, source, "udp")
        return None if answer is None else Reply(answer, self.settings.delay_ms)

    def _on_connection(self, connection: socket.socket, source: Address) -> None:
        stream = connection.makefile("rb")
        while len(length := stream.read(2)) == 2:
            answer = self.answer(stream.read(int.from_bytes(length)), source, "tcp")
            if answer is not None:
                self.pause()
                connection.sendall(struct.pack("!H", len(answer)) + answer)

    def _open(self, host: str, port: int) -> list[UdpEnd | TcpEnd]:
        return open_both(host, port, self._on_datagram, self._on_connection)
