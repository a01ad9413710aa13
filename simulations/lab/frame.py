"""One line that identifies an Ethernet frame, so that a probe's packet can be found again in the wire's log.

arp
icmp 192.0.2.1>100.64.10.2 echo-reply id=77 seq=3
udp 100.64.10.2:4000>192.0.2.1:862 000000030000000f      the first 8 octets of the payload, in hex
tcp 100.64.10.2:4000>192.0.2.1:80 SA seq=1 len=0
ip 50 100.64.10.2>192.0.2.1                              another IP protocol, or a later fragment
ethertype 86dd                                           anything else
"""

import socket
import struct

# Enough of a frame to identify it: Ethernet 14, IP with options 60, TCP 20.
HEAD_OCTETS = 96

_ARP = b"\x08\x06"
_IPV4 = b"\x08\x00"
_ICMP_TYPES = {0: "echo-reply", 8: "echo-request", 3: "unreachable", 11: "time-exceeded"}
_TCP_FLAGS = "FSRPAUEC"


def is_arp(frame: bytes) -> bool:
    """Whether the frame is ARP: losing it would cost a second of silence, not one packet."""
    return frame[12:14] == _ARP


def describe(head: bytes) -> str:
    """The identifying line of a frame, of which `head` holds the first HEAD_OCTETS octets or fewer."""
    if is_arp(head):
        return "arp"
    if head[12:14] != _IPV4 or len(head) < 34:
        return f"ethertype {head[12:14].hex()}"
    packet = head[14:]
    header_octets = (packet[0] & 0x0F) * 4
    total_octets, fragment, protocol = struct.unpack_from("!2xH2xHxB", packet)
    source, destination = (socket.inet_ntoa(packet[at : at + 4]) for at in (12, 16))
    body = packet[header_octets:]
    if fragment & 0x1FFF or len(body) < 8:
        return f"ip {protocol} {source}>{destination}"
    if protocol == 1:
        kind, identifier, sequence = struct.unpack_from("!B3xHH", body)
        name = _ICMP_TYPES.get(kind, str(kind))
        return f"icmp {source}>{destination} {name} id={identifier} seq={sequence}"
    source_port, destination_port = struct.unpack_from("!HH", body)
    ends = f"{source}:{source_port}>{destination}:{destination_port}"
    if protocol == 17:
        return f"udp {ends} {body[8:16].hex()}"
    if protocol == 6 and len(body) >= 20:
        sequence, offset, flags = struct.unpack_from("!4xI4xBB", body)
        names = "".join(name for bit, name in enumerate(_TCP_FLAGS) if flags >> bit & 1)
        return f"tcp {ends} {names} seq={sequence} len={total_octets - header_octets - (offset >> 4) * 4}"
    return f"ip {protocol} {source}>{destination}"
