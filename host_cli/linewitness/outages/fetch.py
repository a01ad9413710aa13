"""Fetching a status page politely: conditional GET, one request at a time, a User-Agent that says who asks.

The answer is not looked at here: what came is what is archived. A refusal (403, 429) is a bot wall, not an outage, and
is obeyed.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linewitness.errors import CannotDo, UsageProblem
from linewitness.outages.statuspage import MAX_OCTETS

TIMEOUT_S = 15
PAGES = ("incidents.json", "scheduled-maintenances.json")


@dataclass(frozen=True, slots=True)
class Fetched:
    """One answer: octets, or None where nothing has changed since the last fetch."""

    url: str
    octets: bytes | None


class Fetcher:
    """Fetches with what it remembers of each URL (ETag, Last-Modified) in a file of its own."""

    def __init__(self, memory: Path, contact: str) -> None:
        self.memory = memory
        self.user_agent = f"linewitness/1 (status archive; {contact or 'no contact given'})"
        self.known: dict[str, dict[str, str]] = {}
        if memory.exists():
            try:
                self.known = json.loads(memory.read_bytes())
            except ValueError as e:
                raise CannotDo(f"not readable as JSON: {e}", str(memory), "remove it: it only saves requests") from e

    def page(self, base: str) -> list[Fetched]:
        """Return what the page under base (https://HOST or https://HOST/api/v2) has: incidents and maintenances."""
        if not base.startswith(("https://", "http://")):
            raise UsageProblem("wanted an http or https address", base, "https://status.example.com")
        base = base.rstrip("/")
        if not base.endswith("/api/v2"):
            base += "/api/v2"
        return [self._get(f"{base}/{name}", required=name == PAGES[0]) for name in PAGES]

    def remember(self) -> None:
        """Write down what to ask with the next time; call it once the answers are stored."""
        self.memory.write_text(json.dumps(self.known, sort_keys=True, indent=1) + "\n")

    def _get(self, url: str, required: bool) -> Fetched:
        request = urllib.request.Request(url, headers={"User-Agent": self.user_agent, "Accept": "application/json"})
        known = self.known.get(url, {})
        for header, key in (("If-None-Match", "etag"), ("If-Modified-Since", "last_modified")):
            if key in known:
                request.add_header(header, known[key])
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                octets = answer.read(MAX_OCTETS + 1)
                self.known[url] = _validators(answer.headers)
        except urllib.error.HTTPError as e:
            if e.code == 304 or (e.code == 404 and not required):
                return Fetched(url, None)
            hint = "import saved files instead" if e.code in (403, 429) else "check the address of the status page"
            raise CannotDo(f"the status page answered {e.code}", url, hint) from e
        except (urllib.error.URLError, TimeoutError, ConnectionError) as e:
            reason = getattr(e, "reason", e)
            raise CannotDo(f"the status page can't be reached: {reason}", url, "check address and network") from e
        if len(octets) > MAX_OCTETS:
            raise CannotDo(f"the answer is larger than {MAX_OCTETS >> 20} MB", url, "check the address")
        return Fetched(url, octets)


def _validators(headers: Any) -> dict[str, str]:
    pairs = (("etag", headers.get("ETag")), ("last_modified", headers.get("Last-Modified")))
    return {key: value for key, value in pairs if value}
