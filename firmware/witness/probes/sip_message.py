"""SIP messages as far as a probe needs them (RFC 3261): an OPTIONS request out, a response in. No socket.

A response belongs to a request by the branch of its topmost Via and the method of its CSeq (17.1.3); it has exactly
one Via, ours. Which statuses mean that the service fails is `is_failure`.
"""

from collections import namedtuple

MAGIC_COOKIE = "z9hG4bK"  # how every branch begins (8.1.1.7)
METHOD = "OPTIONS"
# A proxy or the server itself says that what it stands for does not work; all other finals come from a live SIP stack.
FAILURES = (408, 500, 502, 503, 504)
COMPACT = {"v": "via", "l": "content-length", "f": "from", "t": "to", "i": "call-id", "m": "contact"}

Response = namedtuple("Response", ("status", "branch", "method", "retry_after_s"))
"""status 100..699; retry_after_s None where the header is missing or no number."""


class Malformed(ValueError):
    """The octets are no SIP response that a transaction of ours could have."""


def is_failure(status: int) -> bool:
    """Return whether a final status says that the service fails."""
    return status in FAILURES


def encode_options(domain: str, address: str, branch: str, tag: str, call_id: str, cseq: int, agent: str) -> bytes:
    """Return an OPTIONS request (RFC 3261 11.1) that asks for an answer to where it came from (rport, RFC 3581).

    address: our own, for Via and Contact; branch without the magic cookie.
    """
    lines = (
        METHOD + " sip:" + domain + " SIP/2.0",
        "Via: SIP/2.0/UDP " + address + ";branch=" + MAGIC_COOKIE + branch + ";rport",
        "Max-Forwards: 70",
        "From: <sip:linewitness@" + domain + ">;tag=" + tag,
        "To: <sip:" + domain + ">",
        "Call-ID: " + call_id,
        "CSeq: %d %s" % (cseq, METHOD),
        "Contact: <sip:linewitness@" + address + ">",
        "Accept: application/sdp",
        "User-Agent: " + agent,
        "Content-Length: 0",
        "",
        "",
    )
    return "\r\n".join(lines).encode()


def decode_response(octets: bytes) -> Response:
    """Return the Response in a datagram. Raises Malformed."""
    end = octets.find(b"\r\n\r\n")
    if end < 0:
        raise Malformed("no end of headers")
    if not all(octet < 128 for octet in octets[:end]):
        octets = bytes([octet if octet < 128 else 63 for octet in octets[:end]])
    # A line that begins with white space continues the one before (7.3.1).
    text = octets[:end].decode().replace("\r\n ", " ").replace("\r\n\t", " ")
    lines = text.split("\r\n")
    first = lines[0].split(" ", 2)
    if len(first) < 2 or first[0] != "SIP/2.0" or len(first[1]) != 3 or not first[1].isdigit():
        raise Malformed("no status line")
    status = int(first[1])
    if not 100 <= status <= 699:
        raise Malformed("status %d" % status)
    vias, cseq, retry_after = _headers(lines[1:])
    if len(vias) != 1:
        raise Malformed("%d Vias, wanted ours alone" % len(vias))
    if cseq is None or len(cseq) != 2:
        raise Malformed("no CSeq")
    return Response(status, _branch(vias[0]), cseq[1], retry_after)


def _headers(lines: list[str]) -> tuple[list[str], list[str] | None, int | None]:
    vias: list[str] = []
    cseq = retry_after_s = None
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise Malformed("a header without a colon")
        name = name.strip().lower()
        name = COMPACT.get(name, name)
        if name == "via":
            vias.extend(value.split(","))
        elif name == "cseq":
            cseq = value.split()
        elif name == "retry-after":
            digits = value.strip().split(";")[0].split("(")[0].strip()
            retry_after_s = int(digits) if digits.isdigit() else None
    return vias, cseq, retry_after_s


def _branch(via: str) -> str:
    """Return the branch parameter of one Via value without the magic cookie."""
    for parameter in via.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "branch":
            value = value.strip()
            if value.startswith(MAGIC_COOKIE):
                return value[len(MAGIC_COOKIE) :]
    raise Malformed("no branch of ours")
