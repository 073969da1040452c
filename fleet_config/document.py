"""A parsed file: its data, and where in the text each part of it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fleet_config.problems import Problem

Path = tuple[str | int, ...]
Position = tuple[int, int]


@dataclass(slots=True)
class Place:
    """Where a value begins, and the places of what it holds.

    `plain` tells an unquoted scalar; `origin` names the source of a value that is not from the file itself.
    """

    at: Position
    plain: bool = False
    origin: str | None = None
    keys: dict[str, Position] = field(default_factory=dict)
    children: dict[str | int, Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says. `data` is made of dict (text keys), list, str, int, float, bool and None.

    `text` is the file as it was read, with line feeds as line ends.
    """

    data: Any
    name: str
    root: Place
    text: str = field(default="", kw_only=True)

    def get(self, path: Path) -> Any:
        """The value at a path; KeyError or IndexError where there is none."""
        value = self.data
        for part in path:
            value = value[part]
        return value

    def where(self, path: Path) -> Position:
        """Line and column of the value at `path`, or of the nearest value around it that exists."""
        return self._follow(path).at

    def where_key(self, path: Path) -> Position:
        """Line and column of the key that holds `path`; of the value itself in a list and at the root."""
        if not path:
            return self.root.at
        parent = self._follow(path[:-1])
        last = path[-1]
        return parent.keys[last] if isinstance(last, str) and last in parent.keys else self.where(path)

    def problem(self, path: Path, message: str, *, key: bool = False) -> Problem:
        """A problem of the value at `path`, or of its key."""
        line, column = self.where_key(path) if key else self.where(path)
        return Problem(self._follow(path).origin or self.name, line, column, message)

    def _follow(self, path: Path) -> Place:
        place = self.root
        for part in path:
            inner = place.children.get(part)
            if inner is None:
                return place
            place = inner
        return place
