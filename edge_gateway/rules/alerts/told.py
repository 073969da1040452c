"""What devices were last told of their alerts, and what they are owed.

An old reading changes an alert without notice or command. That is owed: the device's first live reading that evaluates
the rule and finds the alert still so gives notice and commands of the state reached: the event `released`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_gateway.rules.alerts.state_machine import NOTHING, StateChange

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Key = tuple[int, str]
"""(device number, rule name)."""


class Owed(NamedTuple):
    """The newest change of an alert that was not told, and the alert's id."""

    change: StateChange
    alert: str


@dataclass(slots=True)
class Told:
    """`levels`: the rank told last of alerts that were told to fire; `owed`: what was not told, by alert."""

    levels: dict[Key, int] = field(default_factory=dict)
    owed: dict[Key, Owed] = field(default_factory=dict)

    def note(self, key: Key, change: StateChange, alert: str, *, live: bool, muted: bool = False) -> None:
        """Note a change of the alert with this id, told at once if it is `live`; `muted`: its commands are.

        A mere report of an alert that fires tells nothing new.
        """
        if change.state not in ("firing", "resolved") or _is_report(change):
            return
        fires, before = change.state == "firing", self.levels.get(key, NOTHING)
        after = change.rank if fires else NOTHING
        if live or after == before:
            self.owed.pop(key, None)
        else:
            self.owed[key] = Owed(change, alert)
        if live and fires and not muted:
            self.levels[key] = after
        elif live and not fires:
            self.levels.pop(key, None)

    def fires(self, key: Key) -> bool:
        """Whether the device was told that the alert fires, and not that it ended."""
        return key in self.levels

    def settled(self, key: Key, at: int) -> Owed:
        """What is owed of an alert, as the change that tells it at `at` (ms)."""
        change, alert = self.owed[key]
        before = change.rank if change.state == "resolved" else self.levels.get(key, NOTHING)
        at = max(at, change.at)
        return Owed(StateChange("released", "reading", change.state, change.rank, before, at), alert)

    def keep(self, kept: Callable[[Key], bool]) -> None:
        """Forget all other alerts."""
        self.levels = {key: rank for key, rank in self.levels.items() if kept(key)}
        self.owed = {key: owed for key, owed in self.owed.items() if kept(key)}

    def shift(self, by: Mapping[int, int]) -> None:
        """Follow clocks that were set by so many ms, by device."""
        for key, (change, alert) in self.owed.items():
            if key[0] in by:
                self.owed[key] = Owed(change._replace(at=change.at + by[key[0]]), alert)

    def snapshot(self) -> dict[str, Any]:
        return {
            "levels": [[*key, rank] for key, rank in sorted(self.levels.items())],
            "owed": [[*key, list(change), alert] for key, (change, alert) in sorted(self.owed.items())],
        }

    @classmethod
    def from_snapshot(cls, state: dict[str, Any]) -> Told:
        return cls(
            {(device, rule): rank for device, rule, rank in state["levels"]},
            {
                (device, rule): Owed(StateChange(*change), alert)
                for device, rule, change, alert in state["owed"]
            },
        )


def _is_report(change: StateChange) -> bool:
    return change.state == "firing" and change.rank == change.previous
