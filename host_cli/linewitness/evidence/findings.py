"""What a verification finds: refusals, holes and remarks, each naming the witness, the sequence number or the file."""

from __future__ import annotations

from dataclasses import dataclass, field

REFUSED = "refused"  # the evidence contradicts itself, its signature or its timestamp
INCOMPLETE = "incomplete"  # nothing contradicts, but something can't be checked or is not there
NOTE = "note"  # worth knowing; changes no result

EXIT_HOLDS, EXIT_REFUSED, EXIT_INCOMPLETE = 0, 3, 4


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark. witness is SITE/WITNESS, seq a sequence number, file a name in the dossier, where they apply."""

    severity: str
    text: str
    witness: str | None = None
    seq: int | None = None
    file: str | None = None

    def line(self) -> str:
        """Return it as one line."""
        where = [self.witness] if self.witness else []
        if self.seq is not None:
            where.append(f"seq {self.seq}")
        if not where and self.file:
            where.append(self.file)
        return f"{self.severity}: {' '.join(where) + ': ' if where else ''}{self.text}"


@dataclass(slots=True)
class Findings:
    """Findings in the order in which they were made."""

    found: list[Finding] = field(default_factory=list)

    def refuse(self, text: str, witness: str | None = None, seq: int | None = None, file: str | None = None) -> None:
        self.found.append(Finding(REFUSED, text, witness, seq, file))

    def incomplete(
        self, text: str, witness: str | None = None, seq: int | None = None, file: str | None = None
    ) -> None:
        self.found.append(Finding(INCOMPLETE, text, witness, seq, file))

    def note(self, text: str, witness: str | None = None, seq: int | None = None, file: str | None = None) -> None:
        self.found.append(Finding(NOTE, text, witness, seq, file))

    @property
    def exit_code(self) -> int:
        """3 where anything is refused, else 4 where anything is incomplete, else 0."""
        severities = {finding.severity for finding in self.found}
        if REFUSED in severities:
            return EXIT_REFUSED
        return EXIT_INCOMPLETE if INCOMPLETE in severities else EXIT_HOLDS
