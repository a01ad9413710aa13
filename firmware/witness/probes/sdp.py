"""Session descriptions of a test call (RFC 4566, RFC 3264): one G.711 stream, offered and answered. Text in, values
out.

RTCP is offered on the media port (RFC 5761), since the boards have no socket to spare; a=rtcp (RFC 3605) tells the same
to a far end that knows only that.
"""

from collections import namedtuple

from witness.malformed import Malformed

PCMU, PCMA = 0, 8  # RTP payload types (RFC 3551)

Answer = namedtuple("Answer", ("address", "port", "payload_type", "rtcp_port"))
"""Where our RTP goes, as what (PCMU or PCMA), and where our RTCP goes."""


def offer(address: str, port: int, session: int) -> bytes:
    """Return an offer of A-law and mu-law, 20 ms packets, to be sent to this address and port."""
    lines = (
        "v=0",
        "o=linewitness %d 1 IN IP4 %s" % (session, address),
        "s=-",
        "c=IN IP4 " + address,
        "t=0 0",
        "m=audio %d RTP/AVP %d %d" % (port, PCMA, PCMU),
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=ptime:20",
        "a=rtcp:%d" % port,
        "a=rtcp-mux",
        "a=sendrecv",
        "",
    )
    return "\r\n".join(lines).encode()


def decode_answer(body: bytes) -> Answer:
    """Return the Answer in a body. Raises Malformed."""
    address = media_address = None
    media: list[str] = []
    attributes: list[str] = []
    streams = 0
    for line in body.decode().replace("\r\n", "\n").split("\n"):
        kind, value = line[:2], line[2:].strip()
        if kind == "m=":
            streams += 1
            if streams == 1:
                media = value.split()
        elif streams > 1:
            continue
        elif kind == "c=" and value.startswith("IN IP4 "):
            address, media_address = (address, value[7:]) if streams else (value[7:], media_address)
        elif kind == "a=":
            attributes.append(value)
    address = (media_address or address or "").split("/")[0]
    if len(media) < 4 or media[0] != "audio" or not media[1].isdigit() or not int(media[1]):
        raise Malformed("no audio stream")
    kinds = [int(number) for number in media[3:] if number in ("0", "8")]
    if not kinds:
        raise Malformed("no G.711")
    if not address or address == "0.0.0.0":
        raise Malformed("no address")
    port = int(media[1])
    return Answer(address, port, kinds[0], port if "rtcp-mux" in attributes else _rtcp_port(attributes, port))


def _rtcp_port(attributes: list[str], port: int) -> int:
    for attribute in attributes:
        if attribute.startswith("rtcp:"):
            number = attribute[5:].split()[0]
            if number.isdigit():
                return int(number)
    return port + 1
