"""DNS messages (RFC 1035): one question out, A and SRV (RFC 2782) records in. Bytes in, values out, no socket.

    header: id(2) flags(2) questions(2) answers(2) authorities(2) additionals(2); then the question, then records
    record: name, type(2), class(2), ttl(4), length(2), data

Names are ASCII, case is ignored, the final dot is left out. A reply belongs to a query if its id and its question do.
"""

import struct
from collections import namedtuple

from .malformed import Malformed

TYPE_A = 1
TYPE_CNAME = 5
TYPE_SRV = 33
CLASS_IN = 1

NO_ERROR = 0
NXDOMAIN = 3
REFUSED = 5

MAX_CHAIN = 8  # CNAMEs followed; past it the answer is malformed
MAX_POINTERS = 16  # compression pointers followed in one name: more is a loop

Reply = namedtuple("Reply", ("rcode", "truncated", "records"))
"""records: [(ttl_s, address)] for A, [(ttl_s, priority, weight, port, host)] for SRV, in the order received."""


class BadName(ValueError):
    """The text is no DNS name."""


def encode_name(name: str) -> bytes:
    """Return the labels of a name. Raises BadName."""
    octets = bytearray()
    for label in name.split("."):
        encoded = label.encode()
        if not 1 <= len(encoded) <= 63 or len(encoded) != len(label):
            raise BadName("%r: a label has 1 to 63 ASCII characters" % name)
        octets.append(len(encoded))
        octets.extend(encoded)
    octets.append(0)
    if len(octets) > 255:
        raise BadName("%r: longer than 255 octets" % name)
    return bytes(octets)


def encode_query(number: int, name: str, kind: int) -> bytes:
    """Return a query with id `number` for records of type `kind`, recursion desired. Raises BadName."""
    head = struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0)
    return head + encode_name(name) + struct.pack(">HH", kind, CLASS_IN)


def belongs(octets: bytes, query: bytes) -> bool:
    """Return whether octets claim to be the reply to query: its id, and marked as a reply."""
    return len(octets) >= 12 and octets[:2] == query[:2] and octets[2] & 0x80 != 0


def decode_reply(octets: bytes, query: bytes) -> Reply:
    """Return the Reply to query. Raises Malformed, also where the question is not echoed."""
    if not belongs(octets, query):
        raise Malformed("not a reply to this query")
    flags, questions, answers = struct.unpack_from(">HHH", octets, 2)
    rcode = flags & 15
    if flags & 0x7800:
        raise Malformed("opcode %d" % (flags >> 11 & 15))
    question = query[12:]
    # A server that fails may leave the question out, but then it has nothing to say either (RFC 1035, 4.1.1).
    if questions == 0 and answers == 0 and rcode != NO_ERROR:
        return Reply(rcode, False, [])
    if questions != 1 or octets[12 : 12 + len(question)].lower() != question.lower():
        raise Malformed("the question is not echoed")
    kind = question[-3]
    owner, _ = _read_name(query, 12)
    return Reply(rcode, flags & 0x0200 != 0, _records(octets, 12 + len(question), answers, owner, kind))


def _records(octets: bytes, at: int, n: int, owner: str, kind: int) -> list[tuple]:
    """Return the data of the records of a kind that belong to owner, or to what its CNAMEs say."""
    found = []
    aliases: dict[str, str] = {}
    for _ in range(n):
        name, at = _read_name(octets, at)
        if at + 10 > len(octets):
            raise Malformed("a record is cut off")
        type_, class_, ttl_s, size = struct.unpack_from(">HHIH", octets, at)
        at += 10
        if at + size > len(octets):
            raise Malformed("a record's data is cut off")
        if class_ == CLASS_IN:
            if type_ == TYPE_CNAME:
                aliases[name] = _read_name(octets, at)[0]
            elif type_ == kind:
                found.append((name, _data(octets, at, size, kind, ttl_s & 0x7FFFFFFF)))
        at += size
    for _ in range(MAX_CHAIN):
        if owner not in aliases:
            break
        owner = aliases[owner]
    return [data for name, data in found if name == owner]


def _data(octets: bytes, at: int, size: int, kind: int, ttl_s: int) -> tuple:
    if kind == TYPE_A:
        if size != 4:
            raise Malformed("an address of %d octets" % size)
        return ttl_s, "%d.%d.%d.%d" % tuple(octets[at : at + 4])
    if size < 7:
        raise Malformed("an SRV record of %d octets" % size)
    priority, weight, port = struct.unpack_from(">HHH", octets, at)
    return ttl_s, priority, weight, port, _read_name(octets, at + 6)[0]


def _read_name(octets: bytes, at: int) -> tuple[str, int]:
    """Return (name in lower case, index after it). Raises Malformed."""
    labels: list[str] = []
    end = None
    pointers = 0
    while True:
        if at >= len(octets):
            raise Malformed("a name is cut off")
        size = octets[at]
        if size & 0xC0 == 0xC0:
            pointers += 1
            if at + 1 >= len(octets) or pointers > MAX_POINTERS:
                raise Malformed("a name points nowhere")
            if end is None:
                end = at + 2
            at = (size & 0x3F) << 8 | octets[at + 1]
        elif size & 0xC0:
            raise Malformed("a label of kind %d" % (size >> 6))
        elif size == 0:
            return ".".join(labels), at + 1 if end is None else end
        else:
            label = octets[at + 1 : at + 1 + size]
            if len(label) < size or len(labels) > 127:
                raise Malformed("a name is cut off")
            labels.append(_text(label))
            at += 1 + size


def _text(label: bytes) -> str:
    """Return a label as text; octets outside ASCII become their code, so that two names never read the same."""
    return "".join([chr(octet) if octet < 128 else "\\%03d" % octet for octet in label]).lower()


def is_dotted(host: str) -> bool:
    """Return whether host is a dotted IPv4 address."""
    parts = host.split(".")
    return len(parts) == 4 and all(part.isdigit() and len(part) <= 3 and int(part) < 256 for part in parts)
