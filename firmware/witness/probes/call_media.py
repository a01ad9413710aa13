"""The media of a test call: RTP with G.711, 20 ms a packet, both ways, and RTCP on the same socket (RFC 3550, 5761).

Each of our packets carries a mark in its sound: 8 letters that are this call's alone and the packet's number in 4. A
far end that sends back what it hears may send the same packets, or take the sound out and cut it anew: the mark is
looked for at any place, over the seam of two packets too. So a packet of ours counts as echoed when its mark has come
back; the rest of the sound is a faint tone. Letters are codes that a decoder and encoder of the same law give back
unchanged.
"""

import struct

from witness.malformed import Malformed

from . import rtp
from .stream import Stream

PAYLOAD_OCTETS = 160
INTERVAL_US = 20_000
FIRST_LETTER = 0x50
TOKEN_OCTETS, NUMBER_OCTETS = 8, 4
MARK_OCTETS = TOKEN_OCTETS + NUMBER_OCTETS
TONE = bytes((0xD5, 0xF5, 0xD5, 0x75))  # of no meaning, and not silence
FIRST_REPORT, REPORT_EVERY = 125, 250  # packets: RTCP after 2.5 s, then every 5 s (6.2)


def letters(octets: bytes) -> bytes:
    """Return octets as two letters each."""
    marked = bytearray()
    for octet in octets:
        marked.append(FIRST_LETTER + (octet >> 4))
        marked.append(FIRST_LETTER + (octet & 15))
    return bytes(marked)


def number_of(four: bytes) -> int | None:
    """Return the packet's number in its letters, None where they are none."""
    number = 0
    for letter in four:
        if not 0 <= letter - FIRST_LETTER < 16:
            return None
        number = number << 4 | letter - FIRST_LETTER
    return number


class Media(Stream):
    """One call's media. dialog: has `hung_up`; kind: RTP payload type; peers: where our RTP and our RTCP go.

    The far end's may come from another address: what is RTP of our kind is taken from anywhere. A forger would have to
    know the call's mark to be counted as an echo. past_ssrc: the far end's synchronization source in the call before,
    whose last packets are not this call's.
    """

    anywhere = True

    def __init__(self, media, clock, urandom, peers: tuple, window, dialog, kind: int) -> None:
        super().__init__(media, clock, peers[0], window)
        self._rtcp = peers[1]
        self._kind = kind
        self._dialog = dialog
        self._ssrc, self._first_timestamp, self._base_s = struct.unpack(">III", urandom(12))
        self._first_sequence = urandom(1)[0]
        self._token = letters(urandom(TOKEN_OCTETS // 2))
        self._packet = bytearray(rtp.HEADER_OCTETS + PAYLOAD_OCTETS)
        struct.pack_into(">BBHII", self._packet, 0, 0x80, 0x80 | kind, 0, 0, self._ssrc)
        self._packet[rtp.HEADER_OCTETS :] = TONE * (PAYLOAD_OCTETS // len(TONE))
        self._packet[rtp.HEADER_OCTETS : rtp.HEADER_OCTETS + TOKEN_OCTETS] = self._token
        self._sent = 0
        self._tail = b""
        self.past_ssrc: int | None = None
        self.incoming: rtp.Incoming | None = None
        self.echoed = False
        self.sent_as_reported = 0
        self.report: rtp.Report | None = None
        self.rtcp_rtt_us: int | None = None

    async def talk(self, packets: int, timeout_us: int) -> tuple[int, int]:
        """Talk for so many packets, wait timeout_us at most for echoes; return when it began and how long it was."""
        times = await self.run(packets, INTERVAL_US, timeout_us)
        if not self._dialog.hung_up:
            self._media.send(rtp.encode_goodbye(self._ssrc), self._rtcp)
        return times

    def over(self) -> bool:
        """Return whether the far end has hung up."""
        return bool(self._dialog.hung_up)

    def packet(self, sequence: int, at_us: int) -> bytearray:
        """Return the next RTP packet; sends RTCP where it is due."""
        if sequence % REPORT_EVERY == FIRST_REPORT:
            self._report(at_us)
        packet = self._packet
        if sequence == 1:
            packet[1] &= 0x7F  # the marker stands in the first packet alone (RFC 3551 4.1)
        struct.pack_into(
            ">HI", packet, 2, (self._first_sequence + sequence) & 0xFFFF, self._timestamp(sequence),
        )  # fmt: skip
        begin = rtp.HEADER_OCTETS + TOKEN_OCTETS
        packet[begin : begin + NUMBER_OCTETS] = letters(struct.pack(">H", sequence))
        self._sent = sequence + 1
        return packet

    async def replies(self, timeout_us: int) -> None:
        """Talk on until every echo is there, or for timeout_us: a far end without sound to send keeps back its last."""
        sequence = self._sent
        until_us = self._clock.now_us() + timeout_us
        while self._window.outstanding and self._clock.now_us() < until_us and not self.over():
            await self._until(self._start_us + sequence * INTERVAL_US)
            self._media.send(self.packet(sequence, self._clock.now_us()), self._peer)
            sequence += 1

    def _timestamp(self, sequence: int) -> int:
        return (self._first_timestamp + sequence * PAYLOAD_OCTETS) & 0xFFFFFFFF

    def _ntp(self, at_us: int) -> int:
        at_us += self._base_s * 1_000_000
        return (at_us // 1_000_000 & 0xFFFFFFFF) << 32 | (at_us % 1_000_000 << 32) // 1_000_000

    def _report(self, at_us: int) -> None:
        sent = (self._sent, self._sent * PAYLOAD_OCTETS)
        incoming = self.incoming
        octets = rtp.encode_report(self._ssrc, self._ntp(at_us), self._timestamp(self._sent), sent, incoming, at_us)
        self._media.send(octets, self._rtcp)

    # --- what comes in ---

    def accept(self, octets: bytes, received_us: int) -> bool:
        """Take a datagram of the far end."""
        known = self._media.source in (self._peer, self._rtcp)
        try:
            if rtp.is_rtcp(octets):
                self._take_reports(octets, received_us)
                return True
            packet = rtp.decode(octets)
        except Malformed:
            self._window.malformed += known
            return known
        if not known and (packet.payload_type != self._kind or packet.ssrc == self.past_ssrc):
            return False
        if self.incoming is None or self.incoming.ssrc != packet.ssrc:
            self.incoming = rtp.Incoming(packet)
            self._tail = b""
        self.incoming.note(packet, received_us)
        self._look_for_marks(packet.payload, received_us)
        return True

    def _look_for_marks(self, payload: bytes, received_us: int) -> None:
        sound = self._tail + payload
        self._tail = sound[-(MARK_OCTETS - 1) :]
        at = sound.find(self._token)
        while at >= 0:
            letters_ = sound[at + TOKEN_OCTETS : at + MARK_OCTETS]
            number = number_of(letters_) if len(letters_) == NUMBER_OCTETS else None
            sent_us = self._window.sent_us(number) if number is not None else None
            if number is not None and sent_us is not None:
                self.echoed = True
                stall_us = self._clock.stall_us_since(self._start_us + sent_us)
                self._window.note_echo(number, received_us - self._start_us - sent_us, 0, stall_us)
                self.replied()
            at = sound.find(self._token, at + 1)

    def _take_reports(self, octets: bytes, received_us: int) -> None:
        reports, ntp = rtp.decode_reports(octets, self._ssrc)
        if ntp is not None and self.incoming is not None:
            self.incoming.note_sender_report(ntp, received_us)
        for report in reports:
            self.report = report
            self.sent_as_reported = ((report.highest - self._first_sequence) & 0xFFFF) + 1
            if report.lsr:
                now = self._ntp(received_us) >> 16 & 0xFFFFFFFF
                round_trip = (now - report.lsr - report.dlsr) & 0xFFFFFFFF
                if round_trip < 1 << 31:
                    self.rtcp_rtt_us = round_trip * 1_000_000 >> 16
