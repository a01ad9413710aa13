"""Starts the witness. asyncio.run has to be the last statement: on the virtual board it returns at once."""

import asyncio
import sys
import time

from witness import lives
from witness.board import reset_cause, restart
from witness.config import ConfigProblem

PAUSE_S = 10  # before a program that can't begin is begun again: time to get at the prompt

crashes = lives.begin(reset_cause())
try:
    from witness.app import App

    app = App(crashes)
except ConfigProblem as problem:
    print("witness: %s" % problem)
except Exception as error:
    # A fault of ours, or memory too short: again from the start, after a few times in safe mode.
    sys.print_exception(error)
    lives.crashed()
    time.sleep(PAUSE_S)
    restart()
else:
    del App, ConfigProblem, lives, reset_cause, restart  # what has a name here would stay for good
    asyncio.run(app.run())
