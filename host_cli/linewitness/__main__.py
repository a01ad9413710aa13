"""`python -m linewitness`: the same as the command `linewitness`."""

from linewitness.cli import main

main()
