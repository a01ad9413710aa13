"""`make demo`: one dispute from a probe's first packet to a verdict that the other side can check.

    python -m simulations.demo [--out FOLDER] [--vm wasm|unix] [--profile BOARD]

No hardware, no root. Two virtual boards run the firmware in two branches with different ISPs. Their packets cross
emulated links to real peers: a SIP server, DNS, time and STAMP servers, an MQTT broker over TLS, a status page over
HTTP. The story of simulations/scenarios/two_branches.py is done to those links; the code that settles gets the ledger
and nothing else.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from simulations.board.vms import available_vms
from simulations.demo import closing, opening
from simulations.demo.branch import clear
from simulations.demo.play import play
from simulations.demo.stage import DemoError, Stage


def main() -> int:
    """Run the demo; 0 where the verdicts are the truth and the dossier holds, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="folder to leave everything in")
    parser.add_argument("--vm", choices=("wasm", "unix"), help="MicroPython virtual machine; the first that is there")
    parser.add_argument("--profile", default="pico-w", help="board whose limits are enforced")
    arguments = parser.parse_args()
    try:
        vm = arguments.vm or next(iter(available_vms()))
        clear(arguments.out)
        arguments.out.mkdir(parents=True)
        began_s = time.monotonic()
        with Stage(arguments.out.resolve()).lit() as stage, opening.peers(stage) as set_:
            opening.announce(stage, vm, arguments.profile)
            branches = opening.build(stage, set_, vm, arguments.profile)
            truth = play(stage, set_, branches)
            opening.wait_for_quiet(stage)
            good = closing.settle_and_prove(stage, set_, truth)
        print(f"\n{time.monotonic() - began_s:.0f} s in all; everything is in {arguments.out}/")
        return 0 if good else 1
    except (DemoError, FileExistsError) as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
