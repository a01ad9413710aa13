"""What every single-shot probe has beside `run`."""

from linewitness_wire import record
from linewitness_wire.plan import Target


class SingleShot:
    """Keeps, by target, what goes into its reading beside the samples, and until when it asked to be left alone."""

    def __init__(self) -> None:
        self._extras: dict[str, dict] = {}
        self._retry_at_us: dict[str, int] = {}

    def count(self, target: Target, key: int) -> None:
        """Count one reply of target under record.DUPLICATE or record.MALFORMED."""
        counts = self._extras.setdefault(target.name, {})
        counts[key] = min(counts.get(key, 0) + 1, record.U16)

    def note(self, target: Target, key: int, value: object) -> None:
        """Keep a value for the reading; the newest counts."""
        self._extras.setdefault(target.name, {})[key] = value

    def resolved(self, target: Target, took_us: int) -> None:
        """Hear how long a server took to give the target's address; most probes have no use for it."""

    def extras(self, target: Target) -> dict:
        """Return {record key: count or value} since the last call."""
        return self._extras.pop(target.name, {})

    def hold(self, target: Target, until_us: int) -> None:
        """Remember that the target asked for no request before until_us."""
        self._retry_at_us[target.name] = until_us

    def retry_at_us(self, target: Target) -> int:
        """Return the monotonic time before which the target asked not to be probed again (0: it never did)."""
        return self._retry_at_us.get(target.name, 0)


def place_octets(address: str, port: int) -> bytes:
    """Return a dotted address and a port as 4 + 2 octets."""
    return bytes([int(number) for number in address.split(".")]) + bytes((port >> 8, port & 0xFF))
