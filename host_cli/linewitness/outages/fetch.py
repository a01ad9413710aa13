"""Fetching a status page politely: conditional GET, one request at a time, a User-Agent that says who asks.

A page is asked at most once a minute and never against its robots.txt (RFC 9309, read once a day). A refusal (403) or
a failure (429, 5xx, no answer) is no outage: it is obeyed, Retry-After first, else with a pause that doubles from one
minute to one hour. The answer is not looked at here: what came is what is archived.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import urllib.error
import urllib.request
import urllib.robotparser
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from linewitness.config import write
from linewitness.errors import CannotDo, UsageProblem
from linewitness.outages.fields import MAX_OCTETS
from linewitness.outages.formats import FORMATS

TIMEOUT_S = 15
AGENT = "linewitness"  # the product token that robots.txt may name
MIN_INTERVAL_S = 60
BACK_OFF_S = (60, 3600)  # the first pause and the longest
ROBOTS_S = 86_400  # RFC 9309 2.4
ROBOTS_MAX_OCTETS = 512_000  # RFC 9309 2.5


@dataclass(frozen=True, slots=True)
class Fetched:
    """One answer: octets, or None with the reason why there are no new ones."""

    url: str
    octets: bytes | None
    note: str = ""
    validators: dict[str, str] = field(default_factory=dict)


class Fetcher:
    """Fetches with what it remembers of each URL and host in a file of its own. now: seconds since 1970."""

    def __init__(self, memory: Path, contact: str, now: Callable[[], float] = time.time) -> None:
        self.memory = memory
        self.now = now
        self.user_agent = f"{AGENT}/1 (status archive; {contact or 'no contact given'})"
        self.pages: dict[str, dict[str, Any]] = {}
        self.hosts: dict[str, dict[str, Any]] = {}
        if memory.exists():
            try:
                known = json.loads(memory.read_bytes())
                self.pages, self.hosts = known.get("pages", {}), known.get("hosts", {})
            except (ValueError, AttributeError) as e:
                raise CannotDo(f"not readable as JSON: {e}", str(memory), "remove it: it only saves requests") from e

    def page(self, address: str, form: str | None = None) -> Iterator[Fetched]:
        """Yield what a page has, one request after the other; call kept() for each once it is stored.

        address: the page (https://HOST), of which the files of its format are fetched (default: Statuspage v2), or one
        file of it. Raises CannotDo, UsageProblem.
        """
        urls = addresses(address, form)
        self._check_robots(urls[0])
        for i, url in enumerate(urls):
            yield self._get(url, required=i == 0)

    def kept(self, fetched: Fetched) -> None:
        """Ask for this answer again only when it has changed."""
        self.pages.setdefault(fetched.url, {}).update(fetched.validators)

    def remember(self) -> None:
        """Write down what to ask with, and when, the next time."""
        write(self.memory, json.dumps({"pages": self.pages, "hosts": self.hosts}, sort_keys=True, indent=1) + "\n")

    def _get(self, url: str, required: bool) -> Fetched:
        page = self.pages.setdefault(url, {})
        wait_s = page.get("asked", 0) + MIN_INTERVAL_S - self.now()
        if 0 < wait_s <= MIN_INTERVAL_S:
            return Fetched(url, None, f"asked less than {MIN_INTERVAL_S} s ago")
        headers = {"Accept": "application/json, application/atom+xml, application/rss+xml, text/csv;q=0.9, */*;q=0.5"}
        for header, key in (("If-None-Match", "etag"), ("If-Modified-Since", "last_modified")):
            if key in page:
                headers[header] = page[key]
        page["asked"] = int(self.now())
        answer = self._ask(url, headers, MAX_OCTETS, ok=(304,) if required else (304, 404, 410))
        if isinstance(answer, int):
            return Fetched(url, None, "unchanged" if answer == 304 else "not there")
        octets, found = answer
        if len(octets) > MAX_OCTETS:
            raise CannotDo(f"the answer is larger than {MAX_OCTETS >> 20} MB", url, "check the address")
        digest = hashlib.sha256(octets).hexdigest()
        if page.get("sha256") == digest:  # a page without validators, which said the same before
            return Fetched(url, None, "unchanged")
        pairs = (("etag", found.get("ETag")), ("last_modified", found.get("Last-Modified")), ("sha256", digest))
        return Fetched(url, octets, "", {key: value for key, value in pairs if value})

    def _ask(self, url: str, headers: dict[str, str], most: int, ok: tuple[int, ...]) -> tuple[bytes, Any] | int:
        """Return (octets, headers), or the status where it is one of ok. Raises CannotDo, and backs off."""
        host = self.hosts.setdefault(urlsplit(url).netloc, {})
        if self.now() < host.get("not_before", 0):
            what = f"not asked again before {_clock(host['not_before'])}: {host['why']}"
            raise CannotDo(what, url, "later, or import saved files")
        request = urllib.request.Request(url, headers={"User-Agent": self.user_agent, **headers})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                octets = answer.read(most + 1)
                found = answer.headers
        except urllib.error.HTTPError as e:
            if e.code in ok:
                self._well(host)
                return e.code
            if e.code in (403, 429) or e.code >= 500:
                self._back_off(host, f"it answered {e.code}", _retry_after_s(e.headers.get("Retry-After"), self.now()))
            hint = "import saved files instead" if e.code in (403, 429) else "check the address of the status page"
            raise CannotDo(f"the status page answered {e.code}", url, hint) from e
        except (urllib.error.URLError, TimeoutError, ConnectionError) as e:
            reason = getattr(e, "reason", e)
            self._back_off(host, f"it could not be reached: {reason}", 0)
            raise CannotDo(f"the status page can't be reached: {reason}", url, "check address and network") from e
        self._well(host)
        return octets, found

    def _well(self, host: dict[str, Any]) -> None:
        for key in ("failures", "not_before", "why"):
            host.pop(key, None)

    def _back_off(self, host: dict[str, Any], why: str, retry_after_s: int) -> None:
        host["failures"] = host.get("failures", 0) + 1
        first_s, longest_s = BACK_OFF_S
        pause_s = longest_s if "403" in why else min(longest_s, first_s << min(host["failures"] - 1, 10))
        host["not_before"] = int(self.now()) + max(pause_s, retry_after_s)
        host["why"] = why

    def _check_robots(self, url: str) -> None:
        """Return nothing; raise CannotDo where robots.txt asks programs not to fetch url."""
        parts = urlsplit(url)
        host = self.hosts.setdefault(parts.netloc, {})
        robots = host.get("robots")
        if robots is None or not 0 <= self.now() - robots["at"] < ROBOTS_S:
            address = f"{parts.scheme}://{parts.netloc}/robots.txt"
            refused = tuple(code for code in range(400, 500) if code != 429)  # RFC 9309 2.3.1.3: then all is allowed
            answer = self._ask(address, {}, ROBOTS_MAX_OCTETS, ok=refused)
            text = "" if isinstance(answer, int) else answer[0].decode("utf-8", "replace")
            robots = self.hosts.setdefault(parts.netloc, {})["robots"] = {"at": int(self.now()), "text": text}
        rules = urllib.robotparser.RobotFileParser()
        rules.parse(robots["text"].splitlines())
        if not rules.can_fetch(AGENT, url):
            raise CannotDo("its robots.txt asks programs to stay away", url, "ask them, or import saved files")


def addresses(address: str, form: str | None) -> list[str]:
    """Return what to fetch for a page's address, or that of one of its files. Raises UsageProblem."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsageProblem("wanted an http or https address", address, "https://status.example.com")
    base = address.rstrip("/")
    if re.search(r"\.(json|rss|atom|xml|csv)$", parts.path) or parts.path.endswith("/api/v1/summary"):
        return [address]
    if form == "csv":
        return [address]
    paths = FORMATS[form or "statuspage"].paths
    return [f"{base.removesuffix('/api/v2')}/{path}" for path in paths]


def _retry_after_s(value: str | None, now_s: float) -> int:
    """Return the seconds that a Retry-After header asks for (RFC 9110 10.2.3), a day at most, 0 without one."""
    if value is None:
        return 0
    try:
        seconds = int(value) if value.strip().isdigit() else int(parsedate_to_datetime(value).timestamp() - now_s)
    except ValueError:
        return 0
    return max(0, min(seconds, 86_400))


def _clock(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
