"""Contracts for tests of single clauses: a short one, to which the tables under test are added."""

from __future__ import annotations

from linewitness.settle.contract import Contract, load

HEAD = """
[contract]
name = "acme"
provider = "acme"
time_zone = "UTC"
effective_from = 2026-01-01
currency = "GBP"
[downtime]
starts_at = "failure"
min_continuous_s = 0
rounding = "none"
"""
AVAILABLE = """
[[commitment]]
name = "uptime"
metric = "availability"
target_percent = 99.9
window = "month"
"""


def terms(*tables: str) -> Contract:
    """Return the contract that the tables make together with the head."""
    return load(HEAD + "\n".join(tables), "terms.toml")


def credit(kind: str, lines: str, commitment: str = "uptime", cap: int = 1000, base: str = "mrc") -> str:
    head = f'[[credit]]\ncommitment = "{commitment}"\nkind = "{kind}"\nbase = "{base}"\ncap_percent = {cap}\n'
    return head + lines + "\n"
