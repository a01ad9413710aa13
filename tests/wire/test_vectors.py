"""The golden vectors: what CPython, the MicroPython machines and the host's verifier make of each is what it says."""

from __future__ import annotations

import importlib.util
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from linewitness.evidence.batch import check_batch
from linewitness.evidence.enrolment import encode_enrolment, open_enrolment
from linewitness_wire import cose
from linewitness_wire.errors import WireError
from simulations.board.harness import available_vms, package_files, run_on_vm

HERE = Path(__file__).parent
FOLDER = HERE.parent / "vectors" / "wire"
VECTORS: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}

sys.path.insert(0, str(HERE))
from outcome import KINDS_WITHOUT_KEYS, outcome  # noqa: E402

UNSIGNED = {name: case for name, case in VECTORS.items() if case["kind"] in KINDS_WITHOUT_KEYS}
SIGNED = {name: case for name, case in VECTORS.items() if case["kind"] == "signed"}
ENROLMENTS = {name: case for name, case in VECTORS.items() if case["kind"] == "enrolment"}


def test_each_vector_is_read_by_one_of_these_tests() -> None:
    assert len(UNSIGNED) + len(SIGNED) + len(ENROLMENTS) == len(VECTORS)
    assert sum(case["expect"] != "ok" for case in VECTORS.values()) >= 40


@pytest.mark.parametrize("name", UNSIGNED)
def test_cpython_makes_of_a_vector_what_it_says(name: str) -> None:
    case = UNSIGNED[name]
    got, what = outcome(case)
    assert got == case["expect"], what
    if got == "ok":
        assert what == case["value"]
    else:
        assert what, "an error says what was wanted and what was got"


ON_THE_MACHINE = """
import json
from outcome import outcome

with open("vectors.json") as f:
    names = json.loads(f.readline())
    for name in names:
        case = json.loads(f.readline())
        got, what = outcome(case)
        if got != case["expect"] or (got == "ok" and what != case["value"]):
            print(name, "wanted", case["expect"], "got", got, what)
print(len(names), "read")
"""


@pytest.mark.parametrize("vm", available_vms())
def test_micropython_makes_of_each_vector_what_it_says(vm: str) -> None:
    # MicroPython's json does not join the escapes of a surrogate pair: the text goes there as it is.
    lines = [json.dumps(list(UNSIGNED)), *(json.dumps(case, ensure_ascii=False) for case in UNSIGNED.values())]
    files: dict[str, bytes | str] = {
        **package_files("firmware/linewitness_wire"),
        "outcome.py": (HERE / "outcome.py").read_bytes(),
        "vectors.json": "\n".join(lines) + "\n",
    }
    assert run_on_vm(vm, files, ON_THE_MACHINE, timeout_s=60) == f"{len(UNSIGNED)} read\n"


@pytest.mark.parametrize("name", SIGNED)
def test_the_verifier_makes_of_a_signed_batch_what_it_says(name: str) -> None:
    case = SIGNED[name]
    body = bytes.fromhex(case["body"]) if "body" in case else None
    octets = bytes.fromhex(case["hex"])
    checked = partial(check_batch, octets, body, bytes.fromhex(case["public_key"]), case["site"], case["witness"])
    if case["expect"] == "ok":
        assert checked().digest == cose.digest(octets)
    else:
        with pytest.raises(WireError) as refused:
            checked()
        assert type(refused.value).__name__ == case["expect"], str(refused.value)


@pytest.mark.parametrize("name", ENROLMENTS)
def test_the_verifier_makes_of_an_enrolment_what_it_says(name: str) -> None:
    case = ENROLMENTS[name]
    octets = bytes.fromhex(case["hex"])
    opened = partial(open_enrolment, octets, bytes.fromhex(case["fleet_key"]))
    if case["expect"] == "ok":
        assert encode_enrolment(opened()) == cose.split(octets).payload
    else:
        with pytest.raises(WireError) as refused:
            opened()
        assert type(refused.value).__name__ == case["expect"], str(refused.value)


def test_the_generator_writes_these_very_files() -> None:
    spec = importlib.util.spec_from_file_location("make_wire_vectors", FOLDER / "make.py")
    assert spec is not None
    assert spec.loader is not None
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    assert json.loads(json.dumps(make.all_cases())) == VECTORS
