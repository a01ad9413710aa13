"""One branch on the stage: its site file, its virtual board, and the faults that are done to its packets."""

from __future__ import annotations

import shutil
from pathlib import Path

from linewitness import config
from simulations.board.client import Board
from simulations.demo.stage import Stage
from simulations.scenarios import two_branches as scenario

BATCH_S = 10
FAIL_ROUNDS, CLEAR_ROUNDS = 3, 2
UNIX_HEAP_KB = 1024  # its objects are 64 bits wide: the profile's heap would hold half of what the board's does
SSID, PASSWORD = "branch", "correct horse"


def write_site(stage: Stage, branch: scenario.Branch) -> None:
    """Add the site with `site add`, then give its plan the demo's cadence. The thresholds stay the default's."""
    stage.command(
        *("site", "add", branch.site, "--isp", branch.isp, "--provider", scenario.PROVIDER),
        *("--tz", "Europe/London", "--wifi", SSID, "--wifi-password", PASSWORD),
    )
    path = stage.fleet / "sites" / f"{branch.site}.toml"
    from linewitness.site import SITE_SCHEMA

    table = config.read(path, SITE_SCHEMA)
    table["plan"] |= {
        "batch_s": BATCH_S,
        "resolvers": [scenario.RESOLVER],
        "time_servers": list(scenario.TIME_SERVERS),
    }
    table["target"] = scenario.targets(branch)
    config.write(path, config.dumps(table))


class BranchOnStage:
    """The virtual board of a branch, in a process of its own."""

    def __init__(self, stage: Stage, branch: scenario.Branch, vm: str, profile: str, ports: dict[str, int]) -> None:
        self.branch = branch
        folder = stage.folder / "boards" / branch.site
        self.board = Board(
            {
                "name": branch.site,
                "profile": profile,
                "vm": vm,
                "nic": {"ssid": SSID, "password": PASSWORD, "wired": False, "rssi": -58, "channel": 6},
                "network": scenario.network(branch, ports),
                **({"heap_kb": UNIX_HEAP_KB} if vm == "unix" else {}),
            },
            folder,
        )
        self._folder = folder

    def start(self) -> None:
        self.board.start()

    def log(self) -> Path:
        """Where the board's console is kept."""
        return self._folder / "console.log"

    def begin(self, fault: scenario.Fault) -> None:
        """Do a fault to the packets of this branch."""
        if fault.action == "wifi":
            self.board.client.nic_drop()
        else:
            self.board.client.link(fault.link, down=True)

    def end(self, fault: scenario.Fault) -> None:
        """Undo it."""
        if fault.action == "wifi":
            self.board.client.nic_restore()
        else:
            self.board.client.link(fault.link, down=False)

    def close(self) -> None:
        self.board.close()


def clear(folder: Path) -> None:
    """Remove what an earlier demo left in folder. Raises FileExistsError for a folder that is no demo's."""
    if folder.exists():
        if not (folder / "logs").is_dir() and any(folder.iterdir()):
            raise FileExistsError(f"{folder} is not a demo's folder; try: --out with another one")
        shutil.rmtree(folder)
