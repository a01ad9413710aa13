"""First act: the peers, the fleet, two boards flashed and enrolled over their serial lines."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from simulations.demo.branch import BATCH_S, CLEAR_ROUNDS, FAIL_ROUNDS, BranchOnStage, write_site
from simulations.demo.stage import DemoError, Stage, utc_text
from simulations.free_ports import free_port
from simulations.lab.peers.process import PeersProcess
from simulations.scenarios import two_branches as scenario

PEERS = ("sip=sip", "second_sip=sip", "dns=dns", "tcp=tcp", "sntp1=sntp", "sntp2=sntp", "sntp3=sntp", "status=status")
REFLECTORS = ("reflector", "media")  # ours, and the provider's


@dataclass(frozen=True, slots=True)
class Set:
    """What stands on the stage: the peers' process, the timestamp authority's, ports by peer's name."""

    peers: PeersProcess
    authority: PeersProcess
    ports: dict[str, int]

    @property
    def status_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['status']}"

    @property
    def authority_url(self) -> str:
        host, port = self.authority.addresses["tsa"]
        return f"http://{host}:{port}/"


@contextlib.contextmanager
def peers(stage: Stage) -> Iterator[Set]:
    """Yield the Set with every peer running."""
    with PeersProcess(*PEERS) as running, PeersProcess("tsa=tsa") as authority:
        running.set("dns", zone={"example.com": {"A": [f"{scenario.ANCHORS[0]}"]}})
        ports = {label: port for label, (_, port) in running.addresses.items()}
        for name in REFLECTORS:
            ports[name] = free_port()
            address = f"127.0.0.1:{ports[name]}"
            stage.behind(name, "reflect", "--bind", address, "--allow", "127.0.0.0/8", ready="reflecting")
        ports["broker"] = free_port()
        yield Set(running, authority, ports)


def announce(stage: Stage, vm: str, profile: str) -> None:
    """Say what will be played, and how it is measured."""
    print(f"Two branches, two ISPs, one provider; the firmware runs on MicroPython ({vm}), limits of a {profile}.")
    print("Plan: 1 s targets, 2 s call-quality windows, a signed batch every 10 s;")
    print(f"      a target fails after {FAIL_ROUNDS} bad rounds in a row and is clear after {CLEAR_ROUNDS} good ones.")
    for fault in scenario.FAULTS:
        print(f"      from second {fault.at_s:g}, for {fault.lasts_s:g} s: {fault.title}")
    print()


def build(stage: Stage, set_: Set, vm: str, profile: str) -> list[BranchOnStage]:
    """Found the fleet, start broker and collector, flash and enrol a board a branch; return them, running."""
    stage.say("init: a fleet folder with its key, ledger and broker certificate")
    port = str(set_.ports["broker"])
    made = stage.command("init", str(stage.fleet), "--host", scenario.BROKER, "--host", "127.0.0.1", "--port", port)
    stage.fingerprint = str(made["fingerprint"])
    _configure(stage, set_)
    stage.behind("broker", "broker", ready="listens")
    branches = []
    for branch in scenario.BRANCHES:
        write_site(stage, branch)
        branches.append(BranchOnStage(stage, branch, vm, profile, set_.ports))
    with ThreadPoolExecutor() as both:
        list(both.map(lambda branch: _install(stage, branch, profile), branches))
    stage.say("plan publish: what will be measured, signed and timestamped before anything is")
    stage.command("plan", "publish", "--out", str(stage.folder / "plan"))
    stage.began = utc_text(time.time() + 1)
    for on_stage in branches:
        on_stage.board.client.reset()
    stage.behind("collect", "collect", "--broker", f"127.0.0.1:{port}")
    _wait_for_batches(stage, branches)
    return branches


def _install(stage: Stage, on_stage: BranchOnStage, profile: str) -> None:
    """Put the firmware on a branch's board and enrol it, over its serial line."""
    site, witness = on_stage.branch.site, on_stage.branch.witness
    on_stage.start()
    stage.at_the_end(on_stage.close)
    line = on_stage.board.repl
    stage.say(f"witness flash {site} {witness} --port {line}")
    stage.command("witness", "flash", site, witness, "--port", line, "--board", profile)
    stage.say(f"witness enrol {site} {witness}: its key was made on the board and stays there")
    stage.command("witness", "enrol", site, witness, "--port", line)


def _configure(stage: Stage, set_: Set) -> None:
    """Name the timestamp authority in fleet.toml, and sign the contract."""
    root = stage.fleet / "keys" / "authority.pem"
    root.write_text(Path(set_.authority.timestamp_root()).read_text())
    with (stage.fleet / "fleet.toml").open("a") as file:
        file.write(f'\n[timestamps]\nurl = "{set_.authority_url}"\nroot = "keys/authority.pem"\n')
    contract = Path(__file__).parent / "voxcloud.toml"
    stage.contract.write_text(contract.read_text())
    stage.command("contract", "check", str(stage.contract))


def _wait_for_batches(stage: Stage, branches: list[BranchOnStage]) -> None:
    """Return once each witness has batches in the ledger with a synchronised clock."""
    stage.say("the boards boot, set their clocks and begin to report")
    end_s = time.monotonic() + 90
    while time.monotonic() < end_s:
        rows = stage.command("witness", "list")["value"]
        if sum(1 for row in rows if row["batches"] >= 1) == len(branches):
            return
        time.sleep(1)
    raise DemoError(f"no batches from the boards in 90 s; their consoles: {branches[0].log().parent.parent}")


def wait_for_quiet(stage: Stage) -> None:
    """Give the witnesses the time to send what they kept while they were cut off."""
    stage.say("waiting for the last batches")
    time.sleep(BATCH_S + 2)
