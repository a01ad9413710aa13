"""Runs before main.py. Nothing is done here, so that a board always comes to its prompt."""
