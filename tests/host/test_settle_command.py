"""`linewitness settle`: from a ledger to a settlement, the same bytes each time."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from branch_story import EDGE, MINUTE, SECOND, T0, Branch, Fault
from click.testing import CliRunner
from nacl.signing import SigningKey
from test_contract import GOOD
from test_outages import SITE

from linewitness import cli
from linewitness.fleet import Fleet
from linewitness.founding import found_fleet
from linewitness.ledger import Enrolment, NewBatch
from linewitness.model import Settlement, Side
from linewitness.report.page import render
from linewitness_wire import bodies, cose, plan, record

OUT = Fault(EDGE, 100 * SECOND + 123_456, 140 * SECOND + 654_321)
ISPS = {"leeds": "isp-one", "york": "isp-two"}


def store(fleet: Fleet, branch: Branch) -> None:
    """Sign the branch's story, chain it and put it into the ledger, as enrolment and collector would have.

    A longer story of the same branch adds what is new in it.
    """
    key = SigningKey(hashlib.sha256(branch.site.encode()).digest())
    kid = cose.kid(bytes(key.verify_key))
    enrolment = Enrolment(branch.site, "w1", kid, bytes(key.verify_key), bytes(32), 1, T0, b"record of " + kid)
    previous = record.NO_PREVIOUS
    new = []
    for batch in branch.batches():
        payload = record.encode_header(batch.header._replace(previous=previous))
        message = cose.to_be_signed(cose.protected(kid), cose.aad(branch.site, "w1"), payload)
        octets = cose.join(kid, payload, key.sign(message).signature)
        previous = cose.digest(octets)
        assert batch.body is not None
        body = bodies.encode(batch.body, batch.header.end_us - batch.header.start_us)
        header = record.decode_header(payload)
        new.append(NewBatch(branch.site, "w1", kid, header, previous, octets, body, batch.received_us))
    with fleet.ledger() as ledger:
        if kid not in {known.kid for known in ledger.enrolments()}:
            ledger.add_enrolment(enrolment)
            ledger.add_item("plan", f"{branch.site}/w1", plan.encode_plan(branch.plan), T0)
        ledger.store(new)


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    made, _ = found_fleet(tmp_path / "fleet", "test", ["127.0.0.1"], 8883)
    for folder in (made.root / "sites", made.contracts):
        folder.mkdir(exist_ok=True)
    for site, isp in ISPS.items():
        text = SITE.replace("isp-one", isp).replace('"leeds"', f'"{site}"')
        (made.root / "sites" / f"{site}.toml").write_text(text)
    (made.contracts / "acme.toml").write_text(GOOD)
    return made


def run(fleet: Fleet, *arguments: str) -> Any:
    return CliRunner().invoke(cli.main, ["settle", *arguments, "--fleet", str(fleet.root)])


def test_a_ledger_is_settled_byte_for_byte_the_same(fleet: Fleet, tmp_path: Path) -> None:
    for site in ISPS:
        store(fleet, Branch(site, (OUT,)))
    outs = [tmp_path / "a.json", tmp_path / "b.json"]
    for out in outs:
        result = run(fleet, "--out", str(out))
        assert result.exit_code == 0, result.output
    assert outs[0].read_bytes() == outs[1].read_bytes()
    settlement = Settlement.from_json(outs[0].read_text())
    assert [(v.site, v.side) for v in settlement.verdicts] == [("leeds", Side.PROVIDER), ("york", Side.PROVIDER)]
    assert [a.time_zone for a in settlement.accounts] == ["Europe/London"] * 2
    assert "block at the customer's side not excluded" in result.stdout
    as_json = run(fleet, "--json")
    assert Settlement.from_plain(json.loads(as_json.stdout)) == settlement


def test_batches_of_a_clock_never_set_are_said_to_be_there(fleet: Fleet) -> None:
    store(fleet, Branch("leeds", synced_us=24 * 60 * MINUTE))
    result = run(fleet)
    assert (result.exit_code, result.stderr.count("\n")) == (4, 1)
    assert "no witness has reached a time server" in result.stderr


def test_one_site_is_shown_but_all_are_pooled(fleet: Fleet) -> None:
    for site in ISPS:
        store(fleet, Branch(site, (OUT,)))
    settlement = Settlement.from_plain(json.loads(run(fleet, "--site", "york", "--json").stdout))
    assert settlement.sites == ("york",)
    assert [v.side for v in settlement.verdicts] == [Side.PROVIDER]
    assert [b.verdict for b in settlement.breaches] == [0]


def test_the_period_is_the_one_asked_for(fleet: Fleet) -> None:
    store(fleet, Branch("leeds", (OUT,)))
    result = run(fleet, "--from", "2026-03-01T10:03:00Z", "--to", "2026-03-01T10:05:00+00:00", "--json")
    settlement = Settlement.from_plain(json.loads(result.stdout))
    assert (settlement.start_us, settlement.end_us) == (T0 + 180 * SECOND, T0 + 300 * SECOND)
    assert settlement.verdicts == ()


QUALITY = """[[commitment]]
name = "loss"
metric = "loss"
statistic = "mean"
limit_loss_percent = 1
window = "month"
[[credit]]
commitment = "loss"
kind = "flat"
base = "mrc"
cap_percent = 50
percent = 5
[[charge]]
base = "mrc"
amount = 240
"""


def test_other_promises_and_what_is_due_are_shown_as_text_json_and_in_the_report(fleet: Fleet, tmp_path: Path) -> None:
    text = GOOD.replace("effective_from", 'currency = "GBP"\neffective_from').replace("99.99\n", "99.9999\n")
    text = text.replace("[[credit]]", '[[credit]]\ncommitment = "availability"', 1)
    (fleet.contracts / "acme.toml").write_text(text + QUALITY)
    for site in ISPS:
        store(fleet, Branch(site, (OUT,)))
    shown = run(fleet, "--claim-unconfirmed")
    assert "at most s" in shown.stdout
    assert any(line.split()[:3] == ["leeds", "acme", "loss"] for line in shown.stdout.splitlines())
    assert any("24.00 GBP" in line and line.startswith("leeds") for line in shown.stdout.splitlines())
    settlement = Settlement.from_plain(json.loads(run(fleet, "--claim-unconfirmed", "--json").stdout))
    assert [(t.site, t.standing) for t in settlement.tallies] == [("leeds", "unmeasured"), ("york", "unmeasured")]
    assert [(d.site, d.amount_minor) for d in settlement.dues] == [("leeds", 2400), ("york", 2400)]
    page = render(settlement)
    assert "What is due under the contract’s cap" in page
    assert "24.00 GBP" in page
    assert "nothing to judge" in page


def test_bad_input_is_one_line_with_its_exit_code(fleet: Fleet, tmp_path: Path) -> None:
    nothing = run(fleet)
    assert (nothing.exit_code, nothing.stderr.count("\n")) == (4, 1)
    store(fleet, Branch("leeds"))
    assert run(fleet, "--site", "bath").exit_code == 2
    assert run(fleet, "--from", "soon").exit_code == 2
    assert run(fleet, "--from", "2026-03-02", "--to", "2026-03-01").exit_code == 2
    assert run(fleet, "--out", str(tmp_path / "no" / "where.json")).exit_code == 1
    (fleet.contracts / "acme.toml").write_text(GOOD.replace("below_percent = 99\n", "below_percent = 98\n"))
    refused = run(fleet)
    assert refused.exit_code == 3
    assert "acme.toml:28" in refused.stderr
    for name in ("acme", "again"):
        (fleet.contracts / f"{name}.toml").write_text(GOOD)
    twice = run(fleet)
    assert (twice.exit_code, twice.stderr.count("\n")) == (3, 1)
    assert "two contracts are called 'acme'" in twice.stderr


def test_the_list_of_witnesses_shows_a_clock_that_was_never_set(fleet: Fleet) -> None:
    store(fleet, Branch("leeds", synced_us=24 * 60 * MINUTE))
    store(fleet, Branch("york"))
    result = CliRunner().invoke(cli.main, ["witness", "list", "--fleet", str(fleet.root)])
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert "NEVER SET" in lines["leeds"]
    assert " set " in lines["york"]
