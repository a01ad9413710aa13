"""The site's public address, as targets tell it (STUN, UPnP IGD): changes are events; another line is backup access.

A target with OPTION_USUAL says which public address or network the usual line has. While what it tells lies elsewhere,
`backup` is true: such access is metered or shared, so call-quality windows stop. Whether two targets contradict one
another (double NAT) is for the host to judge from the events.
"""

from linewitness_wire import codes, plan


def number_of(octets: bytes) -> int:
    """Return four octets as a number."""
    return int.from_bytes(octets, "big")


def contains(network: str, address: bytes) -> bool:
    """Return whether a network (a.b.c.d/n, or one address) holds the four octets of an address. Raises ValueError."""
    text, _, bits = network.partition("/")
    parts = [int(part) for part in text.split(".")]
    if len(parts) != 4:
        raise ValueError(network)
    size = 32 - int(bits or 32)
    return number_of(bytes(parts)) >> size == number_of(address) >> size


class Public:
    """event(kind, *details) takes what happened."""

    def __init__(self, event) -> None:
        self._event = event
        self.backup = False
        self.begin_plan([])

    def begin_plan(self, targets: list) -> None:
        """Another plan is in force."""
        self._targets = targets
        self._known: "dict[str, bytes]" = {}

    def told(self, target: plan.Target, address: bytes) -> None:
        """A target told the four octets of our public address."""
        if self._known.get(target.name) == address:
            return
        self._known[target.name] = address
        index = [known.name for known in self._targets].index(target.name)
        self._event(codes.EVENT_PUBLIC_ADDRESS, index, address)
        usual = target.options.get(plan.OPTION_USUAL)
        if usual is None:
            return
        backup = not contains(usual, address)
        if backup != self.backup:
            self.backup = backup
            self._event(codes.EVENT_BACKUP, 1 if backup else 0)
