"""What a device is told of its alerts: at once by what is live, else with the first live reading that finds it so."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

from tests.gateway.rules.reference.definitions import RANKS, Definition


class Change(NamedTuple):
    at: int
    event: str
    cause: str
    state: str
    level: str
    previous: str | None


class Deeds(NamedTuple):
    """A change of an alert, whether a notice goes out, and the names of the commands."""

    id: str
    at: int
    rule: str
    device: str
    event: str
    cause: str
    state: str
    level: str
    previous: str | None
    live: bool
    notice: bool
    commands: tuple[str, ...]


@dataclass
class Telling:
    """`told`: the level last told of alerts that fire; `owed`: changes that were not told, with the alert's id.

    `ids`: of alerts that have begun; `stamps`: the time of the last change; `record`: the number that ids are made of.
    `sent`: when each command was last sent, by rule, device, command and level; `begun`: alerts whose rule commanded.
    """

    told: dict[tuple[str, str], str] = field(default_factory=dict)
    owed: dict[tuple[str, str], tuple[Change, str]] = field(default_factory=dict)
    ids: dict[tuple[str, str], str] = field(default_factory=dict)
    stamps: dict[tuple[str, str], int] = field(default_factory=dict)
    record: int = 0
    sent: dict[tuple[str, str, str, str], int] = field(default_factory=dict)
    begun: set[tuple[str, str]] = field(default_factory=set)

    def tell(
        self, rule: Definition, device: str, change: Change, *, live: bool, known: str | None = None
    ) -> Deeds:
        """Tell a change; `known` is the id of the alert where another one may have begun since."""
        key, was_live = (rule.name, device), live
        stamp = self.stamps[key] = max(change.at, self.stamps.get(key, change.at - 1) + 1)
        alert = known or self._id(key, stamp, change)
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
                self.owed[key] = change, alert
        noticed = change.state in {"firing", "resolved"} or change.cause == "no_data"
        return Deeds(
            alert,
            stamp,
            rule.name,
            device,
            change.event,
            change.cause,
            change.state,
            change.level,
            change.previous,
            was_live,
            live and noticed,
            commands,
        )

    def shift(self, device: str, by: int) -> None:
        """Follow a device's clock that was set by so many ms: cooldowns keep their durations."""
        self.sent = {key: at + by if key[1] == device else at for key, at in self.sent.items()}
        for key, (change, alert) in self.owed.items():
            if key[1] == device:
                self.owed[key] = change._replace(at=change.at + by), alert

    def forget(self, rules: set[str]) -> None:
        """Forget what was told and sent for rules that are gone."""
        self.told = {key: level for key, level in self.told.items() if key[0] not in rules}
        self.owed = {key: owed for key, owed in self.owed.items() if key[0] not in rules}
        self.sent = {key: at for key, at in self.sent.items() if key[0] not in rules}
        self.begun = {key for key in self.begun if key[0] not in rules}

    def _id(self, key: tuple[str, str], stamp: int, change: Change) -> str:
        """The id of an alert, given when it begins."""
        alert = self.ids.get(key)
        if alert is None:
            text = "\0".join((*key, str(stamp), str(self.record)))
            alert = blake2b(text.encode(), digest_size=8).hexdigest()
        if change.state in {"pending", "firing"}:
            self.ids[key] = alert
        elif change.event == "resolved":
            self.ids.pop(key, None)
        return alert

    def settle(self, rule: Definition, device: str, at: int) -> tuple[Change, Deeds] | None:
        """Tell what is owed at `at`: the change, and how it is told; None if nothing is owed."""
        key = rule.name, device
        if key not in self.owed:
            return None
        owed, alert = self.owed[key]
        before = owed.level if owed.state == "resolved" else self.told.get(key)
        change = Change(max(at, owed.at), "released", "reading", owed.state, owed.level, before)
        return change, self.tell(rule, device, change, live=True, known=alert)

    def _events(self, rule: Definition, device: str, change: Change) -> set[str]:
        """All that hold: what happens to the alert, and what happens to its device."""
        events = {change.event, change.cause} & {"no_data", "repeat"}
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
