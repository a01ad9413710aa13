"""The commands from end to end in a real fleet folder: plan publish, checkpoint, dossier, verify."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from pathlib import Path

import pytest
from evidence_lab import SECOND_US, Witness, now_us

from linewitness.evidence.enrolment import Enrolment, seal_enrolment
from linewitness.evidence.signed import Signer
from linewitness.fleet import Fleet
from linewitness.founding import found_fleet
from linewitness.ledger import Enrolment as EnrolledKey

YEAR = ("dossier", "--from", "2026-01-01", "--to", "2027-01-01")


def run(fleet: Fleet | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    where = ["--fleet", str(fleet.root)] if fleet else []
    command = [sys.executable, "-m", "linewitness", *arguments, *where]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """A fleet with one site and one enrolled witness, and a test authority in its fleet.toml."""
    made, _ = found_fleet(tmp_path_factory.mktemp("cli") / "fleet", "test", ["127.0.0.1"], 18883)
    done = run(made, "site", "add", "leeds", "--isp", "isp-a", "--provider", "voice-a")
    assert done.returncode == 0, done.stderr
    with (made.root / "fleet.toml").open("a") as f:
        f.write('\n[timestamps]\nurl = "openssl:authority"\n')
    witness = Witness("leeds", "desk", start_utc_us=now_us() - 6 * SECOND_US)
    e: Enrolment = witness.enrolment()
    record = seal_enrolment(e, Signer(made.public_key, made.sign))
    with made.ledger() as book:
        book.add_enrolment(
            EnrolledKey(e.site, e.witness, e.kid, e.public_key, e.firmware, e.board, e.enrolled_utc_us, record)
        )
    published = run(made, "plan", "publish", "--out", str(made.root / "mail"))
    assert published.returncode == 0, published.stderr
    with made.ledger() as book:
        newest = book.newest("plan", "leeds/desk")
        assert newest is not None
        witness.plan = newest.content
        book.store([witness.new_batch(book.anchor()) for _ in range(6)])
    return Fleet.open(made.root)


def times(fleet: Fleet) -> tuple[str, ...]:
    now = datetime.datetime.now(datetime.UTC)
    return "--from", (now - datetime.timedelta(hours=1)).isoformat(), "--to", now.isoformat(timespec="seconds")


def test_plan_publish_writes_what_is_mailed_to_the_provider(fleet: Fleet) -> None:
    text = (fleet.root / "mail" / "plans.txt").read_text()
    value = json.loads((fleet.root / "mail" / "plans.json").read_text())
    assert "leeds/desk" in text
    assert "gateway" in text
    assert fleet.fingerprint in text
    assert value["publications"][0]["sha256"] in text
    assert value["checkpoint"]["items"] >= 3  # enrolment, plan, publication
    assert (fleet.root / "mail" / "leeds.desk.plan.cose").read_bytes()


def test_from_checkpoint_to_verified_dossier(fleet: Fleet, tmp_path: Path) -> None:
    pack, handed_out = tmp_path / "pack.zip", tmp_path / "handed.checkpoint"
    period = times(fleet)
    stamped = run(fleet, "checkpoint", "--out", str(handed_out), "--json")
    assert stamped.returncode == 0, stamped.stderr
    assert json.loads(stamped.stdout)["heads"] == 1
    with fleet.ledger() as book:
        assert book.anchor() == bytes.fromhex(json.loads(stamped.stdout)["anchor"])
    made = run(fleet, "dossier", *period, "--out", str(pack))
    assert made.returncode == 0, made.stdout + made.stderr
    assert "HOLDS" in made.stdout
    known = ("--fleet-key", fleet.fingerprint, "--tsa-root", str(fleet.root / "authority" / "root.pem"))
    done = run(None, "verify", str(pack), *known, "--checkpoint", str(handed_out))
    assert done.returncode == 0, done.stdout
    assert "witness leeds/desk  1..6" in done.stdout
    assert run(None, "verify", str(pack)).returncode == 4
    octets = pack.read_bytes()
    i = octets.index(b"\xd2\x84", octets.index(b"batches/leeds.desk")) + 60
    (tmp_path / "altered.zip").write_bytes(octets[:i] + bytes([octets[i] ^ 1]) + octets[i + 1 :])
    refused = run(None, "verify", str(tmp_path / "altered.zip"), *known, "--json")
    assert refused.returncode == 3
    findings = json.loads(refused.stdout)["findings"]
    assert any(f["witness"] == "leeds/desk" and f["seq"] == 1 for f in findings if f["severity"] == "refused")


def test_a_timestamp_of_the_dossier_is_checked_by_openssl_alone(fleet: Fleet, tmp_path: Path) -> None:
    from linewitness.evidence.archive import read_archive

    pack = tmp_path / "pack.zip"
    run(fleet, "dossier", *times(fleet), "--out", str(pack))
    files, _ = read_archive(pack.read_bytes())
    (tmp_path / "1.cbor").write_bytes(files["checkpoints/1.cbor"])
    (tmp_path / "1.tsr").write_bytes(files["checkpoints/1.tsr"])
    command = ["openssl", "ts", "-verify", "-data", "1.cbor", "-in", "1.tsr", "-CAfile",
               str(fleet.root.resolve() / "authority" / "root.pem")]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Verification: OK" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("verify", "nowhere.zip"), 1, "no such file"),
        (("verify", "README.md"), 3, "not a dossier: no ZIP file"),
        (("verify", "/dev/null"), 3, "not a dossier: the file is empty"),
        (("verify", "README.md", "--fleet-key", "abc"), 2, "64 hex digits"),
        (("verify", "README.md", "--tsa-root", "README.md"), 2, "not a certificate"),
    ],
)
def test_bad_input_to_verify_is_one_line(arguments: tuple[str, ...], code: int, says: str) -> None:
    done = run(None, *arguments)
    assert done.returncode == code
    assert says in done.stdout + done.stderr
    assert len(done.stderr.splitlines()) <= 1


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("checkpoint", "--authority", "ftp://x"), 2, "no timestamp authority of this kind"),
        (("checkpoint", "--authority", "http://127.0.0.1:9/"), 1, "no timestamp"),
        (("dossier", "--from", "yesterday", "--to", "2026-01-01"), 2, "not a date"),
        (("dossier", "--from", "2026-02-01", "--to", "2026-01-01"), 2, "ends before it begins"),
        (("dossier", "--from", "2026-01-01", "--to", "2026-02-01", "--site", "paris"), 2, "no site"),
        ((*YEAR, "--settlement", "README.md"), 1, "not a settlement"),
        ((*YEAR, "--contract", "README.md"), 3, "not a contract that holds"),
        (("plan", "publish", "--site", "paris"), 2, "no site"),
    ],
)
def test_bad_input_to_the_makers_is_one_line(fleet: Fleet, arguments: tuple[str, ...], code: int, says: str) -> None:
    done = run(fleet, *arguments)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_another_authority_is_asked_for_before_anything_is_written(fleet: Fleet, tmp_path: Path) -> None:
    run(fleet, "checkpoint")
    with fleet.ledger() as book:
        before = [item.row for item in book.items("checkpoint")]
    other = ("checkpoint", "--authority", f"openssl:{tmp_path / 'other'}")
    refused = run(fleet, *other)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "another timestamp authority: CN=linewitness test authority root (" in refused.stderr
    assert "both roots in one PEM file" in refused.stderr
    with fleet.ledger() as book:
        assert [item.row for item in book.items("checkpoint")] == before
    assert run(fleet, "checkpoint").returncode == 0


def test_a_changed_authority_is_held_to_and_both_roots_verify(tmp_path: Path) -> None:
    made, _ = found_fleet(tmp_path / "fleet", "test", ["127.0.0.1"], 18883)
    first, second = (f"openssl:{tmp_path / name}" for name in ("one", "two"))
    assert run(made, "checkpoint", "--authority", first).returncode == 0
    assert run(made, "checkpoint", "--authority", second).returncode == 2
    assert run(made, "checkpoint", "--authority", second, "--yes").returncode == 0
    assert run(made, "checkpoint", "--authority", second).returncode == 0
    assert run(made, "checkpoint", "--authority", first).returncode == 2


def test_a_test_authority_does_not_come_before_the_one_that_is_named(tmp_path: Path) -> None:
    made, _ = found_fleet(tmp_path / "fleet", "test", ["127.0.0.1"], 18883)
    with (made.root / "fleet.toml").open("a") as f:
        f.write('\n[timestamps]\nurl = "https://tsa.example/"\n')
    refused = run(made, "checkpoint", "--authority", f"openssl:{tmp_path / 'one'}")
    assert (refused.returncode, "so far https://tsa.example/" in refused.stderr) == (2, True)


def test_a_dossier_over_a_period_without_readings_is_incomplete(fleet: Fleet, tmp_path: Path) -> None:
    run(fleet, "checkpoint")
    empty = ("--from", "2026-01-01", "--to", "2026-02-01", "--out", str(tmp_path / "empty.zip"))
    made = run(fleet, "dossier", *empty)
    assert made.returncode == 4, made.stdout
    assert "no reading lies in the period: nothing was measured" in made.stdout


def test_a_ticket_goes_into_the_dossier_and_is_covered(fleet: Fleet, tmp_path: Path) -> None:
    from linewitness.evidence.archive import read_archive

    period = times(fleet)
    opened = run(fleet, "ticket", "open", "INC-1", "--provider", "voice-a", "--site", "leeds", "--text", "calls fail")
    assert opened.returncode == 0, opened.stderr
    run(fleet, "checkpoint")
    made = run(fleet, "dossier", *period, "--out", str(tmp_path / "pack.zip"))
    assert made.returncode == 0, made.stdout + made.stderr
    files, _ = read_archive((tmp_path / "pack.zip").read_bytes())
    (ticket,) = [json.loads(content) for name, content in files.items() if name.startswith("tickets/")]
    assert (ticket["act"], ticket["text"], ticket["sites"]) == ("opened", "calls fail", ["leeds"])
