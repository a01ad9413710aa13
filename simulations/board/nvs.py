"""ESP32's non-volatile storage: what was set lives until power-off, what was committed survives it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

NOT_FOUND = -0x1102  # ESP_ERR_NVS_NOT_FOUND, negative in OSError as the port raises it


class Nvs:
    """Values by (namespace, key, kind); kept in a JSON file, or in memory without one."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._committed: dict[str, Any] = {}
        if path is not None and path.exists():
            self._committed = json.loads(path.read_text())
        self._values = dict(self._committed)

    def get(self, space: str, key: str, kind: str) -> Any:
        """The value. Raises OSError when there is none."""
        name = f"{space}/{key}/{kind}"
        if name not in self._values:
            raise OSError(NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")
        return self._values[name]

    def set(self, space: str, key: str, kind: str, value: Any) -> None:
        """Set until commit()."""
        self._values[f"{space}/{key}/{kind}"] = value

    def erase(self, space: str, key: str) -> None:
        """Remove the key of either kind. Raises OSError when there is none."""
        names = [name for name in self._values if name.startswith(f"{space}/{key}/")]
        if not names:
            raise OSError(NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")
        for name in names:
            del self._values[name]

    def commit(self) -> None:
        """Make it durable."""
        self._committed = dict(self._values)
        if self._path is not None:
            scratch = self._path.with_suffix(".tmp")
            scratch.write_text(json.dumps(self._committed))
            os.replace(scratch, self._path)

    def power_off(self) -> None:
        """Forget what was not committed."""
        self._values = dict(self._committed)
