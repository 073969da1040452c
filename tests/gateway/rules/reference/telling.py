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
    """`told`: the level last told of alerts that fire; `owed`: changes that were not told.

    `sent`: when each command was last sent, by rule, device, command and level; `begun`: alerts whose rule commanded.
    """

    told: dict[tuple[str, str], str] = field(default_factory=dict)
    owed: dict[tuple[str, str], Change] = field(default_factory=dict)
    sent: dict[tuple[str, str, str, str], int] = field(default_factory=dict)
    begun: set[tuple[str, str]] = field(default_factory=set)

    def tell(self, rule: Definition, device: str, change: Change, *, live: bool) -> Deeds:
        key, was_live = (rule.name, device), live
        ends = change.state == "resolved" and key in self.begun
        closes = ends and any("resolved" in command.on for command in rule.commands)
        live = live or closes
        commands = self._commands(rule, device, change, closes=closes) if live else ()
        if change.state == "resolved":
            self.begun.discard(key)
        after = change.level if change.state == "firing" else None
        if change.state == "resolved" or (change.state == "firing" and change.level != change.previous):
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
            was_live,
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

    def _events(self, rule: Definition, device: str, change: Change) -> set[str]:
        """All that hold: what happens to the alert, and what happens to its device."""
        events = {change.cause} & {"no_data", "repeat"}
        if change.state == "resolved":
            return events | {"resolved"}
        if change.state != "firing" or change.level == change.previous:
            return events
        if change.previous is not None:
            higher = RANKS.index(change.level) > RANKS.index(change.previous)
            events.add("escalated" if higher else "deescalated")
        return events | ({"firing"} if (rule.name, device) not in self.told or not change.previous else set())

    def _commands(self, rule: Definition, device: str, change: Change, *, closes: bool) -> tuple[str, ...]:
        events, found = self._events(rule, device, change), []
        for command in rule.commands:
            key = (rule.name, device, command.name, change.level)
            last = self.sent.get(key)
            cool = not command.cooldown or last is None or change.at - last >= command.cooldown
            if events & set(command.on) and (cool or (closes and "resolved" in command.on)):
                self.sent[key] = change.at
                found.append(command.name)
        if found and change.state == "firing":
            self.begun.add((rule.name, device))
        return tuple(found)
