"""The counters of commands to witnesses: a witness obeys a command only when its counter exceeds all before.

    counters.toml   [command]  "SITE/WITNESS" = the counter that was used last

A counter is stored durably before its command is published, and two runs take turns by the folder's lock, so that no
two commands bear the same one. It is at least the time of day in seconds: a fleet folder that was restored from an old
backup, or lost this file, still finds one that the witness has not seen.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from linewitness import config
from linewitness.config import ANY, Optional
from linewitness.fleet import Fleet
from linewitness.lock import only_one

SCHEMA = {"command": Optional({ANY: int})}
HEADING = "# Of commands to witnesses, used up to here. Kept by linewitness; never lower one.\n\n"


def take(fleet: Fleet, places: Sequence[tuple[str, str]]) -> list[int]:
    """Return a fresh counter for each (site, witness), stored by now. Raises CannotDo while another run takes some."""
    path = fleet.root / "counters.toml"
    with only_one(fleet.root, "commands"):
        table = config.read(path, SCHEMA) if path.exists() else {}
        used: dict[str, int] = table.setdefault("command", {})
        for site, witness in places:
            name = f"{site}/{witness}"
            used[name] = max(used.get(name, 0) + 1, int(time.time()))
        if places:
            config.write(path, HEADING + config.dumps(table))
    return [used[f"{site}/{witness}"] for site, witness in places]
