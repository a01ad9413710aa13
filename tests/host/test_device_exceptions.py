"""On a board an exception is its base, where no code of the board could notice."""

from __future__ import annotations

from linewitness.device.exceptions import merge

ERRORS = '''class Refused(ValueError):
    """Octets that are not a record."""


class Truncated(Refused):
    pass


class Gap(Truncated):
    """A number was left out."""


class Said(Refused):
    def __init__(self, word):
        self.word = word
'''
READER = """from wire.errors import (
    Gap,
    Truncated,
)

def read(octets):
    if not octets:
        raise Truncated("nothing")
    raise Gap("one is missing %s" % octets)
"""


def test_a_class_that_is_only_raised_is_raised_as_its_base():
    out = merge({"wire/errors.py": ERRORS, "reader.py": READER}, {})
    assert out["wire/errors.py"] == ERRORS
    assert (
        out["reader.py"]
        == """from wire.errors import Refused




def read(octets):
    if not octets:
        raise Refused("nothing")
    raise Refused("one is missing %s" % octets)
"""
    )


def test_a_class_that_is_caught_somewhere_on_the_board_stays_and_ends_the_chain():
    catcher = "from wire.errors import Truncated\ntry:\n    pass\nexcept Truncated:\n    pass\n"
    out = merge({"wire/errors.py": ERRORS, "reader.py": READER}, {"main.py": catcher})
    assert 'raise Truncated("nothing")' in out["reader.py"]
    assert 'raise Truncated("one is missing' in out["reader.py"]
    assert out["reader.py"].startswith("from wire.errors import Truncated\n")


def test_what_adds_something_to_its_base_stays():
    said = 'from wire.errors import Said\nraise Said("no")\n'
    assert merge({"wire/errors.py": ERRORS, "a.py": said}, {})["a.py"] == said


def test_two_classes_of_one_name_stay():
    sources = {"a.py": "class Bad(ValueError):\n    pass\n", "b.py": "class Bad(ValueError):\n    pass\n"}
    sources["c.py"] = 'from a import Bad\nclass Worse(Bad):\n    pass\nraise Worse("x")\n'
    assert merge(sources, {}) == sources
