"""What is wrong in a file that a person wrote, and where."""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, order=True, slots=True)
class Problem:
    """One fault of one file. Line and column count from 1, columns in characters."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"

    def as_dict(self) -> dict[str, Any]:
        """The four fields under their names, for editors and `--json`."""
        return asdict(self)


class ProblemsFound(Exception):
    """Everything that is wrong, in the order of the files, at least one problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


def suggest(word: object, candidates: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the nearest candidate, or nothing when none is near."""
    by_folded = {candidate.casefold(): candidate for candidate in candidates}
    near = difflib.get_close_matches(str(word).casefold(), by_folded, n=1, cutoff=0.6)
    return f"; did you mean '{by_folded[near[0]]}'?" if near else ""


def quoted(value: object, *, most: int = 40) -> str:
    """A value as it is named in a message: in quotes, cut where it is long, on one line."""
    text = str(value)
    short = text if len(text) <= most else text[: most - 1] + "…"
    return "'" + short.replace("\n", "\\n") + "'"
