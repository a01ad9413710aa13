"""Starts the witness. asyncio.run has to be the last statement: on the virtual board it returns at once."""

import asyncio

from witness.app import App
from witness.config import ConfigProblem

try:
    app = App()
except ConfigProblem as problem:
    print("witness: %s" % problem)
else:
    asyncio.run(app.run())
