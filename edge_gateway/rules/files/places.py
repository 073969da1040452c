"""Places in rule files, and the errors reported at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_gateway.rules.files.scalar_position import position_in_scalar
from fleet_config.problems import Problem

if TYPE_CHECKING:
    from edge_gateway.rules.language.ruleset import OnChange
    from edge_gateway.rules.language.tokens import ExpressionError
    from fleet_config.yaml_source import Document


@dataclass(frozen=True, slots=True)
class RuleSource:
    """One rule file. `problems` collects its errors; `on_change` is the default for its rules."""

    document: Document
    problems: list[Problem]
    on_change: OnChange

    def at(self, *path: str | int) -> Place:
        return Place(self, path)


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A value in a rule file, by its path of keys and indices."""

    source: RuleSource
    path: tuple[str | int, ...]

    def at(self, *path: str | int) -> Place:
        return Place(self.source, self.path + path)

    @property
    def exists(self) -> bool:
        """Whether the file has it."""
        try:
            self.source.document.get(self.path)
        except (KeyError, IndexError, TypeError):
            return False
        return True

    def __str__(self) -> str:
        line, _ = self.source.document.where(self.path)
        return f"{self.source.document.name}:{line}"

    def report(self, message: str, *, key: bool = False) -> None:
        """Add an error at this value, or at its key."""
        self.source.problems.append(self.problem(message, key=key))

    def report_within(self, error: ExpressionError) -> None:
        """Add an error at one character of this text."""
        self.source.problems.append(self.problem_within(error.at, error.message))

    def problem_within(self, at: int, message: str) -> Problem:
        """The problem with one character of this text, without adding it."""
        document = self.source.document
        line, column = position_in_scalar(document.text, *document.where(self.path), at)
        name = self.path[-1] if isinstance(self.path[-1], str) else "text"
        return Problem(document.name, line, column, f"{name}: {message}")

    def problem(self, message: str, *, key: bool = False) -> Problem:
        """The problem with this value, or with its key, without adding it."""
        return self.source.document.problem(self.path, message, key=key)
