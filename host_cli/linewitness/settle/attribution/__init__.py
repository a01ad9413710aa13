"""Whose side was it, from rounds: the one attribution that ledgers and simulated worlds both feed. No I/O."""
