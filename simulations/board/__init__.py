"""The virtual board: the firmware's own source on a real MicroPython machine, the rest of the board in CPython.

harness.py   run programs on the machines, for tests
client.py    `Board`: a board in a process of its own, with its control channel
device.py    the board itself; what it is made of stands beside it
vm/          what runs inside the MicroPython machine
"""
