"""The folders show the architecture, and the imports keep to it: who may import whom, and who alone knows a library."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WIRE = ROOT / "firmware" / "linewitness_wire"
WITNESS = ROOT / "firmware" / "witness"
HOST = ROOT / "host_cli" / "linewitness"
SIMULATIONS = ROOT / "simulations"


def modules(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*.py") if "__pycache__" not in p.parts and "node_modules" not in p.parts)


def imported(path: Path) -> set[str]:
    """Return the dotted names that a file imports anywhere in it, relative ones made absolute."""
    for base in (ROOT / "firmware", ROOT / "host_cli", ROOT):
        if base in path.parents:
            package = list(path.relative_to(base).with_suffix("").parts)
            break
    if package[-1] == "__init__":
        package = [*package[:-1], "__init__"]
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base_name = ".".join(package[: -node.level]) if node.level else ""
            module = ".".join(part for part in (base_name, node.module) if part)
            names |= {f"{module}.{alias.name}" for alias in node.names} | {module}
    return names


def importers(folder: Path, *libraries: str) -> set[str]:
    """Return the files below folder that import one of the libraries, as paths relative to it."""
    return {
        str(path.relative_to(folder))
        for path in modules(folder)
        for name in imported(path)
        if any(name == library or name.startswith(library + ".") for library in libraries)
    }


def outside(found: set[str], *allowed: str) -> set[str]:
    return {path for path in found if not path.startswith(allowed)}


def test_there_is_something_to_check() -> None:
    assert len(modules(WIRE)) > 5
    assert len(modules(WITNESS)) > 10
    assert len(modules(HOST)) > 20


def test_wire_imports_only_struct_hashlib_collections() -> None:
    for path in modules(WIRE):
        roots = {name.split(".")[0] for name in imported(path)}
        assert roots <= {"struct", "hashlib", "collections", "linewitness_wire"}, path


def test_witness_knows_nothing_of_the_host() -> None:
    assert importers(WITNESS, "linewitness", "simulations", "tests") == set()


@pytest.mark.parametrize(
    ("module", "where"),
    [("machine", "board.py"), ("esp32", "board.py"), ("network", "link.py")],
)
def test_on_the_device_one_file_touches_each_part_of_the_hardware(module: str, where: str) -> None:
    assert outside(importers(WITNESS, module), where) == set()


def test_on_the_device_only_the_clock_sees_ticks() -> None:
    seers = {
        str(path.relative_to(WITNESS))
        for path in modules(WITNESS)
        if any(
            isinstance(n, ast.Attribute) and n.attr.startswith("ticks_") for n in ast.walk(ast.parse(path.read_text()))
        )
        or any(name.startswith("time.ticks_") for name in imported(path))
    }
    assert outside(seers, "clock.py") == set()


@pytest.mark.parametrize(
    ("library", "folders"),
    [
        ("mpremote", ("device/",)),
        ("esptool", ("device/",)),
        ("aioesphomeapi", ("device/",)),
        ("paho", ("collect/",)),
        ("amqtt", ("collect/",)),
        ("sqlite3", ("ledger/",)),
        ("sqlalchemy", ("ledger/",)),
        ("duckdb", ("ledger/",)),
    ],
)
def test_on_the_host_one_folder_knows_each_library(library: str, folders: tuple[str, ...]) -> None:
    assert outside(importers(HOST, library), *folders) == set()


def test_cli_is_imported_by_nobody_but_itself() -> None:
    assert outside(importers(HOST, "linewitness.cli"), "cli/", "__main__.py") == set()


def test_nothing_imports_simulations_or_tests() -> None:
    assert importers(HOST, "simulations", "tests") == set()
    assert importers(WIRE, "simulations", "tests", "linewitness") == set()


INPUT_OUTPUT = (
    "os", "io", "pathlib", "socket", "ssl", "sqlite3", "subprocess", "urllib", "http", "requests", "httpx",
    "tempfile", "shutil", "asyncio", "threading", "time",
)  # fmt: skip


def test_settle_does_no_input_or_output() -> None:
    assert importers(HOST / "settle", *INPUT_OUTPUT) == set()
    opens = [
        path
        for path in modules(HOST / "settle")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("open", "print", "input")
    ]
    assert opens == []


def test_verify_imports_only_the_wire_and_its_own_pure_neighbours() -> None:
    path = HOST / "evidence" / "verify.py"
    assert path.exists()
    assert not {name.split(".")[0] for name in imported(path)} & set(INPUT_OUTPUT) - {"io"}
    own = {name for name in imported(path) if name.startswith("linewitness.")}
    assert all(name.startswith("linewitness.evidence") for name in own), own
