"""A parsed file: its data, and the line and column of each part."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fleet_config.problems import Problem

Path = tuple[str | int, ...]
Position = tuple[int, int]


@dataclass(slots=True)
class Place:
    """Where a value begins, and the places of the values in it.

    `plain` is true for an unquoted scalar; `origin` names the source of a value that is not from the file.
    """

    at: Position
    plain: bool = False
    origin: str | None = None
    keys: dict[str, Position] = field(default_factory=dict)
    children: dict[str | int, Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """The content of a file. `data` consists of dict (text keys), list, str, int, float, bool and None.

    `text` is the file's text with line feeds as line ends.
    """

    data: Any
    name: str
    root: Place
    text: str = field(default="", kw_only=True)

    def get(self, path: Path) -> Any:
        """Return the value at a path; KeyError or IndexError if there is none."""
        value = self.data
        for part in path:
            value = value[part]
        return value

    def where(self, path: Path) -> Position:
        """Return line and column of the value at `path`, or of the nearest value around it that exists."""
        return self._follow(path).at

    def where_key(self, path: Path) -> Position:
        """Return line and column of the key of `path`; of the value itself in a list and at the root."""
        if not path:
            return self.root.at
        parent = self._follow(path[:-1])
        last = path[-1]
        return parent.keys[last] if isinstance(last, str) and last in parent.keys else self.where(path)

    def problem(self, path: Path, message: str, *, key: bool = False) -> Problem:
        """Return a problem with the value at `path`, or with its key."""
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
