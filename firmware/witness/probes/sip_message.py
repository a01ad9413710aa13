"""SIP messages as far as a probe needs them (RFC 3261): requests out, responses and requests in. No socket.

A response belongs to a request by the branch of its topmost Via and the method of its CSeq (17.1.3); it has exactly
one Via, ours. Which statuses mean that the service fails is `is_failure`.
"""

from witness.malformed import Malformed

MAGIC_COOKIE = "z9hG4bK"  # how every branch begins (8.1.1.7)
# A proxy or the server itself says that what it stands for does not work; all other finals come from a live SIP stack.
FAILURES = (408, 500, 502, 503, 504)
COMPACT = {"v": "via", "l": "content-length", "f": "from", "t": "to", "i": "call-id", "m": "contact"}
PORT, TLS_PORT = 5060, 5061
HOLD_MAX_S = 3600


class Message:
    """A message as it came.

    status: 100..699 of a response, 0 of a request; method: of CSeq, which in a request is the request's; uri: a
    request's; headers: [(name in small letters, value), ...]; body: octets.
    """

    def __init__(self, status: int, uri: str, headers: list, body: bytes) -> None:
        self.status = status
        self.uri = uri
        self.headers = headers
        self.body = body
        cseq = self.first("cseq").split()
        if len(cseq) != 2 or not cseq[0].isdigit():
            raise Malformed("no CSeq")
        self.method = cseq[1]

    def all(self, name: str) -> list[str]:
        """Return the values of a header, those in one line apart, in their order."""
        return [item for each, value in self.headers if each == name for item in listed(value)]

    def first(self, name: str) -> str:
        """Return the first value of a header as it stands, "" without one."""
        for each, value in self.headers:
            if each == name:
                return value
        return ""

    @property
    def branch(self) -> str:
        """The branch of the topmost Via without the magic cookie. Raises Malformed."""
        vias = self.all("via")
        branch = parameter(vias[0], "branch") if vias else None
        if branch is None or not branch.startswith(MAGIC_COOKIE):
            raise Malformed("no branch of ours")
        return branch[len(MAGIC_COOKIE) :]

    @property
    def retry_after_s(self) -> int | None:
        """Seconds, None where the header is missing or no number."""
        digits = self.first("retry-after").split(";")[0].split("(")[0].strip()
        return int(digits) if digits.isdigit() else None


def is_failure(status: int) -> bool:
    """Return whether a final status says that the service fails."""
    return status in FAILURES


def hold_s(response: "Message") -> int:
    """Return how long the sender of a response wants to be left alone; 0 if it does not.

    By its Retry-After; without one, 403 and 429 mean a minute and 503 ten seconds.
    """
    wait_s = response.retry_after_s
    if wait_s is None:
        wait_s = 60 if response.status in (403, 429) else 10 if response.status == 503 else 0
    return min(wait_s, HOLD_MAX_S)


def agent_of(contact: str) -> str:
    """Return the User-Agent that says what this is and who runs it."""
    return "linewitness/1 (" + contact + ")"


# --- out --------------------------------------------------------------------------------------------------------------


def encode(first: str, headers: list, body: bytes = b"") -> bytes:
    """Return the message with this first line, [(name, value), ...] and body; Content-Length is added."""
    lines = [first]
    for name, value in headers:
        lines.append(name + ": " + value)
    lines.append("Content-Length: %d\r\n\r\n" % len(body))
    return "\r\n".join(lines).encode() + body


def request_headers(transport: str, ours: str, branch: str, call_id: str, cseq: int, method: str) -> list:
    """Return Via, Max-Forwards, Call-ID and CSeq of a request (8.1.1); From and To are the caller's.

    ours: our address and port for Via, with the rport (RFC 3581) that has the answer sent to where we really are.
    """
    return [
        ("Via", "SIP/2.0/" + transport + " " + ours + ";branch=" + MAGIC_COOKIE + branch + ";rport"),
        ("Max-Forwards", "70"),
        ("Call-ID", call_id),
        ("CSeq", "%d %s" % (cseq, method)),
    ]


# --- in ---------------------------------------------------------------------------------------------------------------


def decode(octets: bytes) -> Message:
    """Return the Message in a datagram. Raises Malformed."""
    end = octets.find(b"\r\n\r\n")
    if end < 0:
        raise Malformed("no end of headers")
    head = octets[:end]
    if not all(octet < 128 for octet in head):
        head = bytes([octet if octet < 128 else 63 for octet in head])
    # A line that begins with white space continues the one before (7.3.1).
    lines = head.decode().replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n")
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise Malformed("a header without a colon")
        name = name.strip().lower()
        headers.append((COMPACT.get(name, name), value.strip()))
    words = lines[0].split(" ", 2)
    if words[0] == "SIP/2.0":
        if len(words) < 2 or len(words[1]) != 3 or not words[1].isdigit() or not 100 <= int(words[1]) <= 699:
            raise Malformed("no status line")
        return Message(int(words[1]), "", headers, octets[end + 4 :])
    if len(words) != 3 or words[2] != "SIP/2.0":
        raise Malformed("neither a request nor a response")
    return Message(0, words[1], headers, octets[end + 4 :])


def decode_response(octets: bytes) -> Message:
    """Return the response in a datagram, whose only Via must be ours. Raises Malformed."""
    message = decode(octets)
    if not message.status:
        raise Malformed("a request")
    vias = len(message.all("via"))
    if vias != 1:
        raise Malformed("%d Vias, wanted ours alone" % vias)
    return message


def content_length(head: bytes) -> int | None:
    """Return the Content-Length in the octets before a message's empty line (18.3), None without one."""
    for line in head.split(b"\r\n")[1:]:
        name, colon, value = line.partition(b":")
        if colon and name.strip().lower() in (b"content-length", b"l") and value.strip().isdigit():
            return int(value.strip())
    return None


def listed(value: str) -> list[str]:
    """Return the items of a comma-separated value; a comma in quotes or between < and > parts nothing."""
    items = []
    quoted = inside = False
    begin = 0
    for i in range(len(value)):
        letter = value[i]
        if letter == '"' and not (i and value[i - 1] == "\\"):
            quoted = not quoted
        elif not quoted and letter in "<>":
            inside = letter == "<"
        elif letter == "," and not quoted and not inside:
            items.append(value[begin:i].strip())
            begin = i + 1
    items.append(value[begin:].strip())
    return items


def parameter(value: str, name: str) -> str | None:
    """Return a parameter of a header's value ("" for one without a value), None without it."""
    for each in value.split(">")[-1].split(";")[1 if "<" not in value else 0 :]:
        key, _, text = each.partition("=")
        if key.strip().lower() == name:
            return text.strip()
    return None


def uri_of(value: str) -> str:
    """Return the URI of a name-addr or addr-spec (20.10)."""
    if "<" in value:
        return value.split("<", 1)[1].split(">", 1)[0]
    return value.split(";")[0].strip()


def host_and_port(uri: str) -> tuple[str, int]:
    """Return (host, port) of a SIP URI, port 0 where it names none."""
    rest = uri.split(":", 1)[-1].split(";")[0].split("?")[0]
    host, colon, port = rest.rpartition("@")[2].partition(":")
    return host, int(port) if colon and port.isdigit() else 0


def mapped(via: str, ours: str) -> bytes | None:
    """Return the address and port (4 + 2 octets) from which a server saw us come, by our Via's received and rport.

    ours: "address:port" as we wrote it; received is absent where it is the same (18.2.1). None without a port.
    """
    address = parameter(via, "received") or ours.split(":")[0]
    port = parameter(via, "rport") or ""
    numbers = [int(number) for number in address.split(".") if number.isdigit()]
    if len(numbers) != 4 or max(numbers) > 255 or not port.isdigit() or int(port) > 65535:
        return None
    return bytes(numbers) + bytes((int(port) >> 8, int(port) & 0xFF))
