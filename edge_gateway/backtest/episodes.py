"""Episodes: each time that a rule fired on a device, from its transitions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_gateway.records.alerts import LEVELS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_gateway.records.alerts import Transition
    from fleet_wire.control_messages import AlertCause, Level

__all__ = ["Episode", "episodes_of"]


@dataclass(frozen=True, slots=True)
class Episode:
    """A rule fired on a device in [fired, ended), device time in ms; `ended` None: it fires still.

    `level` is the highest it reached, `cause` that of its beginning; `value` is that of the reading that
    caused it, if one did and the rule compares a number.
    """

    rule: str
    device: str
    fired: int
    ended: int | None
    level: Level
    cause: AlertCause
    metric: str
    value: float | None

    def ended_by(self, end: int) -> int:
        """Return its end, or `end` (ms) if it fires still."""
        return end if self.ended is None else self.ended


def episodes_of(transitions: Iterable[Transition]) -> list[Episode]:
    """Return the episodes of transitions that are in the order in which they occurred, by their beginning."""
    open_: dict[tuple[str, str], Episode] = {}
    found: list[Episode] = []
    for each in transitions:
        key = (each.rule, each.subject)
        before = open_.pop(key, None)
        if each.state == "firing":
            open_[key] = _begun(each) if before is None else _with_level(before, each.level)
        elif before is not None:
            found.append(replace(before, ended=each.at))
    found += open_.values()
    return sorted(found, key=lambda each: (each.fired, each.rule, each.device))


def _begun(each: Transition) -> Episode:
    value = each.value if each.cause == "reading" else None
    return Episode(each.rule, each.subject, each.at, None, each.level, each.cause, each.metric, value)


def _with_level(episode: Episode, level: Level) -> Episode:
    return replace(episode, level=max(episode.level, level, key=LEVELS.index))
