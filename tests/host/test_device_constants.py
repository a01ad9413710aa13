"""Named numbers are put into the firmware's sources before they are compiled, and what no board uses is left out."""

from __future__ import annotations

import ast

from linewitness.device.constants import put_in
from linewitness.device.firmware import device_sources, source_folder

CODES = """DNS = 3
LEAST, MOST = -5, DNS << 4
NAMES = ("a", "b")
_KEPT = 7
"""


def test_numbers_of_other_modules_are_put_in_and_the_import_goes() -> None:
    user = """from wire import codes
from wire.codes import MOST
def f(x):
    return codes.DNS, x - codes.LEAST, MOST
"""
    out = put_in({"wire/codes.py": CODES, "user.py": user})
    assert out["user.py"] == "pass\npass\ndef f(x):\n    return 3, x - (-5), 48\n"
    assert out["wire/codes.py"] == '\n\nNAMES = ("a", "b")\n\n', "what nobody loads by name any more is gone"


def test_what_is_no_number_stays_and_so_does_what_it_comes_from() -> None:
    user = """from .codes import NAMES, DNS
size: "DNS" = len(NAMES) * DNS
def f(_KEPT):
    _KEPT = 1
    return f"{DNS}"
"""
    out = put_in({"wire/codes.py": CODES, "wire/user.py": user})
    assert "from .codes import NAMES, DNS\n" in out["wire/user.py"], "an f-string still loads it"
    assert "len(NAMES) * 3" in out["wire/user.py"]
    assert "_KEPT = 1" in out["wire/user.py"], "another name that is spelt the same"
    assert "DNS = 3" in out["wire/codes.py"]


def test_a_name_that_is_bound_twice_is_no_constant() -> None:
    source = "N = 1\ndef f():\n    global N\n    N = 2\n    return N\n"
    assert put_in({"a.py": source})["a.py"] == source


def test_what_neither_a_module_nor_a_script_uses_is_left_out() -> None:
    shared = """from .errors import Refused, Late
WORDS = ("a", "b")
def encode(x):
    if x < 0:
        raise Late
    return _pack(x)
def decode(x):
    raise Refused(WORDS[_unpack(x)])
def _pack(x):
    return x
def _unpack(x):
    return _unpack(x - 1) if x else 0
"""
    errors = "class Late(Exception):\n    pass\nclass Refused(Exception):\n    pass\n"
    sources = {"wire/shared.py": shared, "wire/errors.py": errors}
    out = put_in(sources, {"main.py": "from wire.shared import encode\nencode(1)\n"})
    assert out["wire/shared.py"].splitlines() == [
        "from .errors import Late", "", *shared.splitlines()[2:6], "", "", *shared.splitlines()[8:10],
        *shared.splitlines()[10:],
    ]  # fmt: skip
    assert out["wire/errors.py"].splitlines() == ["class Late(Exception):", "    pass", "", ""]
    assert put_in(sources) == sources, "without the scripts nobody can know"


def test_what_is_used_by_way_of_another_module_stays() -> None:
    sources = {"a.py": "def f():\n    pass\n", "b.py": "from a import f\n", "c.py": "from b import f\nf()\n"}
    assert put_in(sources, {"main.py": "import c\n"}) == sources


def test_lines_stay_where_they_are_in_the_whole_firmware() -> None:
    root = source_folder()
    for name, text in device_sources(root).items():
        before = (root / name).read_text(encoding="utf-8")
        assert len(text.splitlines()) == len(before.splitlines()), name
        places = {(node.lineno, node.name) for node in ast.walk(ast.parse(before)) if isinstance(node, ast.FunctionDef)}
        after = {(node.lineno, node.name) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}
        assert after <= places, name


def test_what_only_the_host_does_is_not_on_the_board() -> None:
    sources = device_sources(source_folder())
    assert "def encode_batch(" in sources["linewitness_wire/envelope.py"]
    for name, gone in (("envelope", "encode_ack"), ("bodies", "decode"), ("plan", "encode_plan")):
        assert f"def {gone}(" in (source_folder() / f"linewitness_wire/{name}.py").read_text(encoding="utf-8")
        assert f"def {gone}(" not in sources[f"linewitness_wire/{name}.py"]
