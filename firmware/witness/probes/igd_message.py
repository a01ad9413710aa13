"""UPnP Internet Gateway Device:1 as far as a probe needs it: search reply, description, SOAP. Bytes in, values out.

Whatever names a place (LOCATION, controlURL) must name it on the address that was asked: a gateway, or somebody who
answers in its name, must not be able to send the witness anywhere else. It raises Elsewhere.
"""

PORT = 1900
DEVICE = "urn:schemas-upnp-org:device:InternetGatewayDevice:1"  # version 2 has to answer to it as well
CONNECTIONS = ("WANIPConnection", "WANPPPConnection")
COMMON = "WANCommonInterfaceConfig"
SERVICE_MAX_OCTETS = 1024  # what is kept of a description while one service's end is looked for
TEXT_MAX_OCTETS = 64

STATUSES = {b"Connected": 1, b"Disconnected": 2, b"Connecting": 5, b"PendingDisconnect": 5, b"Disconnecting": 5}
STATUS_OTHER = 4
UNCONFIGURED = b"Unconfigured"


class Malformed(ValueError):
    """The octets are not what UPnP says they are."""


class Elsewhere(Malformed):
    """A place on another host than the one that was asked."""


def encode_search(address: str) -> bytes:
    """Return a unicast search (UPnP Device Architecture 1.1, 1.3.2) for the gateway at address."""
    return (
        'M-SEARCH * HTTP/1.1\r\nHOST: %s:%d\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: %s\r\n\r\n'
        % (address, PORT, DEVICE)
    ).encode()


def location(octets: bytes, address: str) -> tuple:
    """Return (port, path) of a search reply's LOCATION. Raises Malformed, Elsewhere."""
    lines = octets.split(b"\r\n")
    if not lines[0].startswith(b"HTTP/1.1 200"):
        raise Malformed("no search reply")
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        if name.strip().upper() == b"LOCATION":
            return place(value.strip(), address, 80)
    raise Malformed("no LOCATION")


def place(url: bytes, address: str, port: int) -> tuple:
    """Return (port, path) of a URL, absolute or a path, on this address. Raises Malformed, Elsewhere."""
    try:
        text = url.decode()
    except UnicodeError:
        raise Malformed("a URL that is no text")
    if not text.startswith("http://"):
        if "://" in text:
            raise Elsewhere(text)
        return port, text if text.startswith("/") else "/" + text
    authority, slash, path = text[7:].partition("/")
    host, colon, number = authority.partition(":")
    if host != address:
        raise Elsewhere(text)
    if colon and not number.isdigit():
        raise Malformed(text)
    return int(number) if colon else 80, slash + path or "/"


class Description:
    """Reads a device description as it comes; `services`: {kind: (service type, (port, path) of its control)}."""

    def __init__(self, address: str, port: int) -> None:
        self.services: dict = {}
        self._address = address
        self._port = port
        self._rest = b""

    def take(self, octets: bytes) -> None:
        """Take the next piece. Raises Malformed, Elsewhere."""
        self._rest += octets
        while True:
            end = self._rest.find(b"</service>")
            if end < 0:
                self._rest = self._rest[-SERVICE_MAX_OCTETS:]
                return
            self._service(self._rest[:end])
            self._rest = self._rest[end + 10 :]

    def _service(self, octets: bytes) -> None:
        kind = text(octets, b"serviceType")
        control = text(octets, b"controlURL")
        if kind is None or control is None:
            return
        for name in CONNECTIONS + (COMMON,):
            if b":" + name.encode() + b":" in kind and name not in self.services:
                self.services[name] = (kind.decode(), place(control, self._address, self._port))


def text(octets: bytes, tag: bytes) -> "bytes | None":
    """Return the text of the last element of this name without markup in it, None where there is none."""
    begin = octets.rfind(b"<" + tag)
    if begin < 0:
        return None
    begin = octets.find(b">", begin)
    end = octets.find(b"<", begin)
    if begin < 0 or end < 0 or end - begin > TEXT_MAX_OCTETS + 64:
        return None
    return octets[begin + 1 : end].strip()


def number(octets: bytes, tag: bytes) -> "int | None":
    """Return the whole number of an element, None where there is none."""
    value = text(octets, tag)
    return int(value) if value is not None and value.isdigit() and len(value) <= 20 else None


def encode_action(service: str, action: str) -> bytes:
    """Return the SOAP body of an action without arguments."""
    return (
        '<?xml version="1.0"?>\r\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
        's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body><u:%s xmlns:u="%s"/></s:Body></s:Envelope>'
        % (action, service)
    ).encode()


def address_octets(value: "bytes | None") -> "bytes | None":
    """Return the four octets of a dotted address, None for anything else and for 0.0.0.0."""
    if value is None:
        return None
    parts = value.split(b".")
    if len(parts) != 4 or not all(part.isdigit() and len(part) <= 3 and int(part) < 256 for part in parts):
        return None
    octets = bytes([int(part) for part in parts])
    return octets if octets != bytes(4) else None
