"""Third act: settle, write it up, seal it, check it as the other side would, and try to cheat."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path
from typing import Any

from linewitness.model import Settlement, Side, Verdict
from simulations.demo.opening import Set
from simulations.demo.play import Truth
from simulations.demo.stage import DemoError, Stage, utc_text

WIDEST_US = 6_000_000  # a provider gets one request a second: with two methods each of them every other second


def settle_and_prove(stage: Stage, set_: Set, truth: list[Truth]) -> bool:
    """Return whether every verdict is the truth, the dossier holds, and the altered one is refused by batch."""
    stage.say("outages sync: the provider's own statements, archived as they are now")
    stage.command("outages", "sync", set_.status_url, "--provider", "VoxCloud")
    stage.stop("collect")
    period = (stage.began, utc_text(time.time()))
    stage.say("checkpoint: a Merkle root over the ledger, timestamped by a (test) authority")
    stage.command("checkpoint")
    folder = stage.folder
    settlement_file, report, dossier = folder / "settlement.json", folder / "report.html", folder / "dossier.zip"
    stage.say("settle: whose side was it?")
    stage.command("settle", "--from", period[0], "--to", period[1], "--out", str(settlement_file))
    stage.command("report", "--settlement", str(settlement_file), "--out", str(report))
    stage.say(f"report: {report}")
    stage.command(
        *("dossier", "--from", period[0], "--to", period[1], "--contract", str(stage.contract)),
        *("--settlement", str(settlement_file), "--report", str(report), "--out", str(dossier)),
    )
    stage.say(f"dossier: {dossier} ({dossier.stat().st_size // 1024} KiB)")
    root = str(stage.fleet / "keys" / "authority.pem")
    check = ("--fleet-key", stage.fingerprint, "--tsa-root", root)
    verified = stage.command("verify", str(dossier), *check)
    stage.say(f"verify, as the other side would: holds ({_count(verified)} batches)")
    named = _cheat(stage, dossier, check)
    settlement = Settlement.from_json(settlement_file.read_text())
    return compare(settlement, truth) and named


def _count(verified: dict[str, Any]) -> object:
    return sum(row.get("batches", 0) for row in verified.get("witnesses", []))


def _cheat(stage: Stage, dossier: Path, check: tuple[str, ...]) -> bool:
    """Alter one bit of one batch in a copy of the dossier; return whether the verifier names that batch."""
    altered = dossier.with_name("dossier-altered.zip")
    name, octets = _middle_batches(dossier)
    _rewrite(dossier, altered, name, octets)
    answer = stage.command("verify", str(altered), *check, expect=3)
    findings = [f for f in answer.get("findings", []) if f.get("seq") is not None]
    if not findings:
        raise DemoError("the altered dossier was refused, but no batch was named")
    first = findings[0]
    stage.say(f"one bit altered: refused, at {first.get('witness')} batch {first.get('seq')}: {first.get('text')}")
    return True


def _middle_batches(dossier: Path) -> tuple[str, bytes]:
    """Return the name of the first witness's batches and their octets with one bit in the middle flipped."""
    with zipfile.ZipFile(dossier) as archive:
        name = sorted(n for n in archive.namelist() if n.startswith("batches/"))[0]
        octets = bytearray(archive.read(name))
    octets[len(octets) // 2] ^= 1
    return name, bytes(octets)


def _rewrite(source: Path, target: Path, name: str, octets: bytes) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            new.writestr(info, octets if info.filename == name else old.read(info.filename))


# --- the verdicts beside the truth ----------------------------------------------------------------------------------


def compare(settlement: Settlement, truth: list[Truth]) -> bool:
    """Print every fault with the verdict on it, and every verdict without a fault; return whether all are right."""
    print("\nverdicts beside the truth (UTC; what was measured is a range at each end)")
    good = True
    left = list(settlement.verdicts)
    for fact in truth:
        verdict = next((v for v in left if _overlaps(v, fact)), None)
        if verdict is None:
            print(f"  MISSED  {fact.site}: {fact.fault.title}")
            good = False
            continue
        left.remove(verdict)
        problems = _problems(verdict, fact)
        good = good and not problems
        _print_pair(verdict, fact, problems)
    for verdict in left:
        harmless = verdict.side == Side.UNDETERMINED
        good = good and harmless
        print(f"  {'extra ' if harmless else 'WRONG '}  {verdict.site}: {verdict.side} {_range(verdict)}")
    stolen_s = _stolen_s(settlement, truth)
    print(f"  seconds of the customer's own faults that were blamed on the provider: {stolen_s:g}")
    return good and stolen_s == 0


def _overlaps(verdict: Verdict, fact: Truth) -> bool:
    return (
        verdict.site == fact.site
        and verdict.start.earliest_us < fact.end_us[1]
        and verdict.end.latest_us > fact.start_us[0]
    )


def _problems(verdict: Verdict, fact: Truth) -> list[str]:
    problems = []
    if verdict.side != fact.fault.side:
        problems.append(f"side {verdict.side}, truly {fact.fault.side}")
    if verdict.segment != fact.fault.segment:
        problems.append(f"segment {verdict.segment}, truly {fact.fault.segment}")
    for name, bounds, true_us in (("start", verdict.start, fact.start_us), ("end", verdict.end, fact.end_us)):
        if not (bounds.earliest_us <= true_us[1] and true_us[0] <= bounds.latest_us):
            problems.append(f"{name} outside its bounds")
        if bounds.width_us > WIDEST_US:
            problems.append(f"{name} known to {bounds.width_us / 1e6:.1f} s only")
    return problems


def _print_pair(verdict: Verdict, fact: Truth, problems: list[str]) -> None:
    mark = "WRONG " if problems else "right "
    print(f"  {mark}  {fact.site}: {fact.fault.title}")
    truly = f"{fact.fault.side}/{fact.fault.segment}"
    print(f"          truth    {truly}  {_clock(fact.start_us[0])} .. {_clock(fact.end_us[0])}")
    print(f"          verdict  {verdict.side}/{verdict.segment}  {_range(verdict)}, {verdict.confidence} %")
    for problem in problems:
        print(f"          {problem}")


def _range(verdict: Verdict) -> str:
    start, end = verdict.start, verdict.end
    return f"{_clock(start.earliest_us)}-{_clock(start.latest_us)} .. {_clock(end.earliest_us)}-{_clock(end.latest_us)}"


def _clock(utc_us: int) -> str:
    seconds, us = divmod(utc_us, 1_000_000)
    return time.strftime("%H:%M:%S", time.gmtime(seconds)) + f".{us // 100_000}"


def _stolen_s(settlement: Settlement, truth: list[Truth]) -> float:
    """Return the seconds of provider verdicts that lie inside the customer's true faults."""
    stolen_us = 0
    for verdict in settlement.verdicts:
        if verdict.side not in (Side.PROVIDER, Side.CARRIER):
            continue
        for fact in truth:
            if fact.site == verdict.site and fact.fault.side == "customer":
                start_us = max(verdict.start.latest_us, fact.start_us[1])
                stolen_us += max(0, min(verdict.end.earliest_us, fact.end_us[0]) - start_us)
    return stolen_us / 1e6
