"""Telling what was not told yet: the ledger remembers what went to whom, so that any number of runs tells it once.

An item of kind reminder is named CHANNEL, KEY with a tab between; its content is the JSON of the message. It is
written after the channel took the message: a run that dies in between tells twice rather than never.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from linewitness.errors import CannotDo, Refused
from linewitness.plain import build, plain
from linewitness.reminders.channels import Channel
from linewitness.reminders.messages import Message

if TYPE_CHECKING:
    from linewitness.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one message on one channel; problem is empty where it went out (or would, in a dry run)."""

    channel: str
    message: Message
    problem: str = ""


def remembered(ledger: Ledger) -> dict[str, list[Message]]:
    """Return what was told by each channel, in its order."""
    result: dict[str, list[Message]] = {}
    for item in ledger.items("reminder"):
        try:
            message = build(Message, json.loads(item.content))
        except ValueError as e:
            raise Refused(f"a reminder that can't be read: {e}", f"ledger: item {item.row}") from e
        result.setdefault(item.name.partition("\t")[0], []).append(message)
    return result


def untold(messages: Iterable[Message], told: Iterable[Message]) -> list[Message]:
    """Return the messages that were not told, in their order."""
    known = list(told)
    keys = {m.key for m in known}
    return [m for m in messages if m.key not in keys and not (m.sites and any(m.same_failure(old) for old in known))]


def tell(
    ledger: Ledger,
    channels: Iterable[Channel],
    messages: list[Message],
    fleet: str,
    clock_us: Callable[[], int],
    *,
    dry_run: bool = False,
) -> list[Told]:
    """Send by each channel what it has not told, and remember it. A channel that fails is not tried again this run."""
    told = remembered(ledger)
    result = []
    for channel in channels:
        problem = ""
        for message in untold(messages, told.get(channel.name, [])):
            if not dry_run and not problem:
                try:
                    channel.send(message, fleet)
                except CannotDo as e:
                    problem = e.line()
                else:
                    content = json.dumps(plain(message), sort_keys=True, ensure_ascii=False).encode()
                    ledger.add_item("reminder", f"{channel.name}\t{message.key}", content, clock_us())
            result.append(Told(channel.name, message, problem))
    return result
