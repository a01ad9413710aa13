"""Whoever dies, and when: nothing acknowledged is missing, no fork, no reading lost but those of the dead time."""

from __future__ import annotations

from pathlib import Path

from chaos import WAYS, Chaos

from simulations.board.vms import available_vms

ROUNDS = 6


def test_collector_broker_and_board_die_at_random_and_nothing_is_lost(tmp_path: Path) -> None:
    vm = available_vms()[-1]  # the unix machine boots sooner, where there is one
    with Chaos(tmp_path / "chaos", vm, seed=7) as chaos:
        chaos.rounds(ROUNDS)
        account = chaos.account()
    assert account.problems == []
    assert set(account.deaths) == set(WAYS)
    assert account.boots > account.deaths["power"] + account.deaths["write"]
    assert account.batches >= account.acknowledged > 0
    assert account.samples > 0
