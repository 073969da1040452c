"""What is wrong in a file that a person wrote, and where."""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from fleet_config.secrecy import redacted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


MOST_PROBLEMS: Final = 100
"""Problems reported for one file or shown in one text: a file that is wrong everywhere needs no longer list."""

NOWHERE: Final = (0, 0)
"""Line and column of a problem with no place in a text: a file that cannot be read, a variable, an option."""

_LONGEST_MESSAGE: Final = 1_000


@dataclass(frozen=True, order=True, slots=True)
class Problem:
    """One mistake in one file. Line and column count from 1, columns in characters; both are 0 for `NOWHERE`.

    Passwords of addresses are removed from the message, and a long message is cut.
    """

    file: str
    line: int
    column: int
    message: str

    def __post_init__(self) -> None:
        message = redacted(self.message)
        cut = message if len(message) <= _LONGEST_MESSAGE else message[: _LONGEST_MESSAGE - 1] + "…"
        object.__setattr__(self, "message", cut)

    def __str__(self) -> str:
        at = f":{self.line}:{self.column}" if self.line else ""
        return f"{self.file}{at}: {self.message}"

    def as_dict(self) -> dict[str, Any]:
        """Return the four fields by name, for editors and `--json`."""
        return asdict(self)


class ProblemsFound(Exception):
    """Everything that is wrong, at least one problem, ordered by file and line; the text shows the first ones."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(set(problems)))
        super().__init__(first_of(self.problems))


def first_of(problems: Sequence[Problem], most: int = MOST_PROBLEMS) -> str:
    """Return the first problems, a line each, and how many more there are."""
    more = len(problems) - most
    return "\n".join([*map(str, problems[:most]), *([f"and {more} more"] if more > 0 else [])])


_LONGEST_WORD: Final = 100
"""Characters compared: the cost grows with the square of the length, and no name is longer."""


def suggest(word: object, candidates: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest candidate, or nothing if none is near."""
    by_folded = {candidate.casefold(): candidate for candidate in candidates}
    near = difflib.get_close_matches(str(word)[:_LONGEST_WORD].casefold(), by_folded, n=1, cutoff=0.6)
    return f"; did you mean '{by_folded[near[0]]}'?" if near else ""


def quoted(value: object, *, most: int = 40) -> str:
    """Return a value for a message: in quotes, on one line, cut if it is long."""
    text = redacted(str(value))
    short = text if len(text) <= most else text[: most - 1] + "…"
    return "'" + short.replace("\n", "\\n") + "'"
