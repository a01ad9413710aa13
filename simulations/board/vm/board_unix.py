"""Entry of the unix machine: `micropython board_unix.py REQUEST_FD REPLY_FD`, in the folder of the runtime."""

import board_boot

board_boot.boot()
board_boot.serve()
