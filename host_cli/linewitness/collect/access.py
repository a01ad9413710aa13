"""Who may log in to the embedded broker, and what they may do there: an amqtt plugin over the fleet's secrets file.

The file is read again whenever it changes, so that a witness enrolled now may connect now and a retired one no more.
Passwords are random and long (not a person's), so they are compared, not hashed: a slow hash would stop the broker's
loop for each of a thousand boards that reconnect after a power cut.
"""

from __future__ import annotations

import hmac
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amqtt.contexts import Action, BaseContext
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from linewitness.collect import topics
from linewitness.errors import LinewitnessError
from linewitness.fleet import broker_users

log = logging.getLogger(__name__)


class FleetAccess(BaseAuthPlugin, BaseTopicPlugin):  # type: ignore[misc]  # amqtt is not typed for strict use
    """Authentication and topic rules in one."""

    @dataclass
    class Config:
        """Path of the fleet's secrets.toml."""

        secrets: str = "secrets.toml"

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        self._path = Path(self._get_config_option("secrets"))
        self._changed_ns = -1
        self._passwords: dict[str, str] = {}

    def _known(self) -> dict[str, str]:
        try:
            changed_ns = self._path.stat().st_mtime_ns
            if changed_ns != self._changed_ns:
                self._passwords = broker_users(self._path)
                self._changed_ns = changed_ns
        except (OSError, LinewitnessError) as e:  # half-edited by hand: those known so far stay, nobody new comes in
            log.warning("secrets not read again: %s", e)
        return self._passwords

    async def authenticate(self, *, session: Session) -> bool:
        """Return whether user and password are right. Without both there is no way in."""
        wanted = self._known().get(session.username or "")
        given = session.password
        if wanted is None or given is None:
            return False
        return hmac.compare_digest(wanted.encode(), given if isinstance(given, bytes) else str(given).encode())

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool:
        """Return whether the session's user may do this on the topic."""
        user = session.username if session is not None else None
        if not user or not topic:
            return False
        return (topics.may_publish if action == Action.PUBLISH else topics.may_hear)(user, topic)

    def _get_config_option(self, option_name: str, default: Any = None) -> Any:
        return getattr(self.context.config, option_name, default)
