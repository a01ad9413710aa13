"""HOST:PORT as people write it in options and in the fleet's files."""

from __future__ import annotations

from linewitness.errors import UsageProblem

PORT_MAX = 65_535


def endpoint(text: str, where: str, example: str, port: int | None = None) -> tuple[str, int]:
    """Return (host, port) of HOST:PORT; where port is given, of HOST alone too. Raises UsageProblem."""
    host, colon, number = text.partition(":")
    form = "HOST:PORT" if port is None else "HOST or HOST:PORT"
    if not colon and port is not None:
        number = str(port)
    if not host or not (number.isascii() and number.isdigit() and 0 < int(number) <= PORT_MAX):
        raise UsageProblem(f"wanted {form}, got '{text}'", where, example)
    return host, int(number)
