"""What every single-shot probe has beside `run`."""

from linewitness_wire import record
from linewitness_wire.plan import Target


class SingleShot:
    """Counts, by target, replies that count for no sample, and knows until when a target asked to be left alone."""

    def __init__(self) -> None:
        self._extras: dict[str, dict[int, int]] = {}
        self._retry_at_us: dict[str, int] = {}

    def count(self, target: Target, key: int) -> None:
        """Count one reply of target under record.DUPLICATE or record.MALFORMED."""
        counts = self._extras.setdefault(target.name, {})
        counts[key] = min(counts.get(key, 0) + 1, record.U16)

    def extras(self, target: Target) -> dict[int, int]:
        """Return {record key: count} since the last call."""
        return self._extras.pop(target.name, {})

    def hold(self, target: Target, until_us: int) -> None:
        """Remember that the target asked for no request before until_us."""
        self._retry_at_us[target.name] = until_us

    def retry_at_us(self, target: Target) -> int:
        """Return the monotonic time before which the target asked not to be probed again (0: it never did)."""
        return self._retry_at_us.get(target.name, 0)
