"""Whoever dies, and when: nothing acknowledged is missing, no fork, no reading lost but those of the dead time."""

from __future__ import annotations

from pathlib import Path

from chaos import WAYS, Chaos
from chaos_account import Account, check_chain

from linewitness.ledger import StoredBatch
from simulations.board.vms import available_vms

ROUNDS = 6
UP_S = (0.3, 3.0)


def test_collector_broker_and_board_die_at_random_and_nothing_is_lost(tmp_path: Path) -> None:
    vm = available_vms()[-1]  # the unix machine boots sooner, where there is one
    with Chaos(tmp_path / "chaos", vm, seed=7) as chaos:
        chaos.rounds(ROUNDS, UP_S)
        account = chaos.account()
        batches = chaos.ledger()
    assert account.problems == []
    assert set(account.deaths) == set(WAYS)
    assert account.lives == account.deaths["power"] + account.deaths["write"]
    assert account.batches >= account.acknowledged > 0
    assert account.samples > 0
    for batch in batches[:-1]:
        assert problems_of([other for other in batches if other is not batch]), f"nobody would miss batch {batch.seq}"


def problems_of(batches: list[StoredBatch]) -> list[str]:
    """What the account finds wrong with the chain of these batches."""
    account = Account()
    check_chain(batches, account)
    return account.problems
