"""The modules that are always in memory become one before they are frozen, and mean the same."""

from __future__ import annotations

import ast
import builtins
import subprocess
import symtable
import sys
from collections.abc import Iterator
from pathlib import Path

from linewitness.device.firmware import device_sources, source_folder, write_frozen
from linewitness.device.one_module import join

SOURCES = {
    "wire/__init__.py": "",
    "wire/words.py": "WORDS = ('a', 'b')\ndef count(words=WORDS):\n    return len(words)\n",
    "witness/__init__.py": "",
    "witness/board.py": "NAME = 'board'\n",
    "witness/one.py": """from wire import words
from .board import NAME
from wire.words import count as number
NONE: "tuple[int, ...]" = (-1, ("x", b"y"))
ZEROS = bytes(2)
class Kept:
    count = number(words.WORDS), NONE, ZEROS
    def name(self, words=words.WORDS):
        def count():
            return words
        return NAME, self.count, count(), number()
def _own(x): return [number for number in range(x)], number()
""",
    "witness/two.py": """from . import one
def _own(one):
    return one
def both(x):
    kept = one.Kept()
    return one._own(x), _own(x), kept.name()
""",
    "witness/late.py": "from .two import both\nfrom . import one\ndef f():\n    return both(2), one.Kept.count\n",
    "witness/app.py": """from .two import both
def late():
    from wire.words import count
    from .late import f
    return f(), count(), both(1)
class App:
    run = both
    last = staticmethod(late)
""",
}
SCRIPT = "import witness.board\nfrom witness.app import App\nprint(App.last())\n"


def run(folder: Path, sources: dict[str, str]) -> str:
    for name, text in sources.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def test_one_module_says_what_the_many_said(tmp_path: Path) -> None:
    joined = join(SOURCES, {"main.py": SCRIPT})
    assert set(joined) == {"witness/__init__.py", "witness/app.py", "witness/board.py", "witness/late.py"}
    assert run(tmp_path / "joined", joined) == run(tmp_path / "apart", SOURCES) != ""


def test_names_begin_with_their_module_and_classes_keep_theirs() -> None:
    tree = ast.parse(join(SOURCES, {"main.py": SCRIPT})["witness/app.py"])
    names = [node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    assert names == ["words__count", "Kept", "one___own", "two___own", "two__both", "app__late", "App"]


def unknown(table: symtable.SymbolTable, known: set[str]) -> Iterator[str]:
    for symbol in table.get_symbols():
        if symbol.is_global() and symbol.is_referenced() and symbol.get_name() not in known:
            yield f"{table.get_name()}: {symbol.get_name()}"
    for child in table.get_children():
        yield from unknown(child, known)


def test_constants_are_put_in_but_those_that_others_take() -> None:
    taken = {**SOURCES, "witness/late.py": "from wire.words import WORDS\ndef f():\n    return WORDS\n"}
    for sources, kept in ((SOURCES, False), (taken, True)):
        text = join(sources, {"main.py": SCRIPT})["witness/app.py"]
        assert ("words__WORDS = " in text) is kept
        assert ("words__count(words=('a', 'b'))" in text) is not kept
        assert "(-1, ('x', b'y')), b'\\x00\\x00'" in text


def test_every_name_of_the_frozen_firmware_is_bound(tmp_path: Path) -> None:
    write_frozen(source_folder(), tmp_path)
    frozen = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.glob("*/**/*.py")}
    apart = device_sources(source_folder())
    assert "witness/sockets.py" not in frozen
    assert set(frozen) - {"witness/release.py"} < set(apart)
    assert {name for name in frozen if "config" in name or "stamp.py" in name} == {
        "witness/config.py", "witness/probes/stamp.py",
    }  # fmt: skip
    assert len(frozen["witness/app.py"]) > 10 * len(apart["witness/app.py"])
    bound = set(symtable.symtable(frozen["witness/app.py"], "app", "exec").get_identifiers())
    for name, text in frozen.items():
        tree = ast.parse(text)
        for node in ast.walk(tree):  # annotations are not evaluated on a board
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                node.returns = None
            elif isinstance(node, ast.arg):
                node.annotation = None
            elif isinstance(node, ast.AnnAssign):
                node.annotation = ast.Constant("")
        top = symtable.symtable(ast.unparse(tree), name, "exec")
        own = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
        known = own | set(dir(builtins)) | {"ptr8", "ptr32", "uint", "__file__"}
        assert not list(unknown(top, known)), name
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "witness.app":
                assert {alias.name for alias in node.names} <= bound, name
