"""`python -m simulations.board run CONFIG`: one virtual board in this process; see config.py."""

import sys

from linewitness.errors import LinewitnessError
from simulations.board.cli import board


def main() -> None:
    """The command; an error is one line."""
    try:
        board(prog_name="python -m simulations.board")
    except LinewitnessError as error:
        print(error.line(), file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
