"""What can go wrong for the person at the keyboard: one class per exit code, one line per error.

LinewitnessError
 |- CannotDo      1   could not do it: unreachable, unreadable, full, in use
 |- UsageProblem  2   wrong usage: an option, a config key, a value that makes no sense
 |- Refused       3   checked and refused: evidence that does not hold
 `- Incomplete    4   nothing refused, but something is missing

Refused evidence is not a failure to check: a signature that does not match is Refused, a file that can't be read is
CannotDo. Exit code 0 is: done, and holds.
"""


class LinewitnessError(Exception):
    """what went wrong, where (a file, a key, an address), try_ (what the reader can do); each one short line."""

    exit_code = 1

    def __init__(self, what: str, where: str = "", try_: str = "") -> None:
        self.what = one_line(what)
        self.where = one_line(where)
        self.try_ = one_line(try_)
        super().__init__(self.line())

    def line(self) -> str:
        """Return 'WHAT (WHERE); try: TRY', without the parts that are empty."""
        where = f" ({self.where})" if self.where else ""
        hint = f"; try: {self.try_}" if self.try_ else ""
        return f"{self.what}{where}{hint}"

    def as_json(self) -> dict[str, object]:
        """Return what --json prints."""
        return {
            "error": self.what,
            "where": self.where or None,
            "try": self.try_ or None,
            "exit_code": self.exit_code,
        }


class CannotDo(LinewitnessError):
    exit_code = 1


class UsageProblem(LinewitnessError):
    exit_code = 2


class Refused(LinewitnessError):
    exit_code = 3


class Incomplete(LinewitnessError):
    exit_code = 4


def one_line(text: str) -> str:
    """Return text with every run of white space, line breaks included, as one space."""
    return " ".join(str(text).split())


def cannot_access(error: OSError, path: object = None, try_: str = "check the path and its permissions") -> CannotDo:
    """Return the CannotDo of an operating system's refusal; path stands for the error's own where it names none."""
    where = error.filename if error.filename is not None else path
    return CannotDo((error.strerror or str(error)).lower(), "" if where is None else str(where), try_)
