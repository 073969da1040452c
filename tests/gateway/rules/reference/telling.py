"""What a device is told of its alerts: at once by what is live, else with the first live reading that finds it so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from tests.gateway.rules.reference.definitions import RANKS, Definition


class Change(NamedTuple):
    at: int
    cause: str
    state: str
    level: str
    previous: str | None


class Deeds(NamedTuple):
    """A change of an alert, whether a notice goes out, and the names of the commands."""

    at: int
    rule: str
    device: str
    cause: str
    state: str
    level: str
    previous: str | None
    live: bool
    notice: bool
    commands: tuple[str, ...]


@dataclass
class Telling:
    """`told`: the level last told of alerts that fire; `owed`: changes that were not told."""

    told: dict[tuple[str, str], str] = field(default_factory=dict)
    owed: dict[tuple[str, str], Change] = field(default_factory=dict)
    sent: dict[tuple[str, str, int, str], int] = field(default_factory=dict)

    def tell(self, rule: Definition, device: str, change: Change, *, live: bool) -> Deeds:
        key = rule.name, device
        commands = self._commands(rule, device, change) if live else ()
        after = change.level if change.state == "firing" else None
        if change.state in {"firing", "resolved"}:
            self.owed.pop(key, None)
            if live:
                self.told.pop(key, None)
                self.told |= {key: after} if after else {}
            elif self.told.get(key) != after:
                self.owed[key] = change
        noticed = change.state in {"firing", "resolved"} or change.cause == "no_data"
        return Deeds(
            change.at,
            rule.name,
            device,
            change.cause,
            change.state,
            change.level,
            change.previous,
            live,
            live and noticed,
            commands,
        )

    def settle(self, rule: Definition, device: str, at: int) -> Deeds | None:
        """Tell what is owed at `at`; None if nothing is."""
        key = rule.name, device
        owed = self.owed.get(key)
        if owed is None:
            return None
        at, told = max(at, owed.at), self.told.get(key)
        if owed.state == "resolved":
            change = Change(at, "resolved", "resolved", owed.level, owed.level)
        elif told is None:
            change = Change(at, "firing", "firing", owed.level, None)
        else:
            higher = RANKS.index(owed.level) > RANKS.index(told)
            change = Change(at, "escalated" if higher else "deescalated", "firing", owed.level, told)
        return self.tell(rule, device, change, live=True)

    def _commands(self, rule: Definition, device: str, change: Change) -> tuple[str, ...]:
        events = {change.cause}
        if change.state == "resolved":
            events.add("resolved")
        if change.cause in {"escalated", "deescalated"} and (rule.name, device) not in self.told:
            events.add("firing")
        found = []
        for number, command in enumerate(rule.commands):
            key = (rule.name, device, number, change.level)
            last = self.sent.get(key)
            if events & set(command.on) and (
                not command.cooldown or last is None or change.at - last >= command.cooldown
            ):
                self.sent[key] = change.at
                found.append(command.name)
        return tuple(found)
