"""MQTT topics, linewitness/1/SITE/WITNESS/WORD, and who may do what on them.

A witness logs in as SITE/WITNESS and may publish its own batch and state and hear its own ack and command, nothing
else; the collector hears every batch and state and publishes every ack and command. Nobody is anonymous.
"""

from __future__ import annotations

from linewitness.fleet import COLLECTOR

PREFIX = "linewitness/1"
BATCH, ACK, STATE, COMMAND = "batch", "ack", "state", "command"
FROM_WITNESS, TO_WITNESS = (BATCH, STATE), (ACK, COMMAND)
ALL_BATCHES = f"{PREFIX}/+/+/{BATCH}"


def topic(site: str, witness: str, word: str) -> str:
    """Return the topic of one witness for one kind of message."""
    return f"{PREFIX}/{site}/{witness}/{word}"


def place(name: str) -> tuple[str, str] | None:
    """Return (site, witness) of a topic of ours, or None for any other."""
    levels = name.split("/")
    if len(levels) != 5 or "/".join(levels[:2]) != PREFIX or levels[4] not in (*FROM_WITNESS, *TO_WITNESS):
        return None
    return levels[2], levels[3]


def may_publish(user: str, name: str) -> bool:
    """Return whether user may publish to the topic."""
    words = TO_WITNESS if user == COLLECTOR else FROM_WITNESS
    return _is_own(user, name, words)


def may_hear(user: str, name: str) -> bool:
    """Return whether user may subscribe to the topic or filter, and be sent what is published there."""
    words = FROM_WITNESS if user == COLLECTOR else TO_WITNESS
    return _is_own(user, name, words)


def _is_own(user: str, name: str, words: tuple[str, str]) -> bool:
    of = place(name)
    if of is None or name.rsplit("/", 1)[1] not in words:
        return False
    return user == COLLECTOR or user == "/".join(of)
