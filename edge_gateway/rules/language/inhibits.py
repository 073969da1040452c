"""Inhibits as the gateway runs them: while a source alert fires, notices of its targets are muted."""

from __future__ import annotations

from dataclasses import dataclass, field

Globs = dict[str, list[str]]
"""Key to globs, one of which must fit."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Which alerts: `match` by `alert`, `level`, site, device, type and tags; `labels` by labels of the alert."""

    match: Globs = field(default_factory=dict)
    labels: Globs = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inhibit:
    """One inhibit.

    `equal` are the properties and tags that source and target must share; missing ones never are. After the source has
    ended, its targets wait `wait_ms` of the listening clock. `commands`: commands of the targets are muted too.
    """

    source: Selector
    target: Selector
    equal: tuple[str, ...] = ()
    wait_ms: int = 0
    commands: bool = False

    @property
    def tags(self) -> tuple[str, ...]:
        """The keys that it compares: tags, and perhaps properties."""
        return (*self.source.match, *self.target.match, *self.equal)
