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
    """

    told: dict[tuple[str, str], str] = field(default_factory=dict)
    owed: dict[tuple[str, str], tuple[Change, str]] = field(default_factory=dict)
    ids: dict[tuple[str, str], str] = field(default_factory=dict)
    stamps: dict[tuple[str, str], int] = field(default_factory=dict)
    record: int = 0
    sent: dict[tuple[str, str, int, str], int] = field(default_factory=dict)

    def tell(
        self, rule: Definition, device: str, change: Change, *, live: bool, known: str | None = None
    ) -> Deeds:
        """Tell a change; `known` is the id of the alert where another one may have begun since."""
        key = rule.name, device
        stamp = self.stamps[key] = max(change.at, self.stamps.get(key, change.at - 1) + 1)
        alert = known or self._id(key, stamp, change)
        commands = self._commands(rule, device, change) if live else ()
        after = change.level if change.state == "firing" else None
        if change.state in {"firing", "resolved"}:
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
            live,
            live and noticed,
            commands,
        )

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

    def settle(self, rule: Definition, device: str, at: int) -> Deeds | None:
        """Tell what is owed at `at`; None if nothing is."""
        key = rule.name, device
        if key not in self.owed:
            return None
        owed, alert = self.owed[key]
        before = owed.level if owed.state == "resolved" else self.told.get(key)
        change = Change(max(at, owed.at), "released", "reading", owed.state, owed.level, before)
        return self.tell(rule, device, change, live=True, known=alert)

    def _commands(self, rule: Definition, device: str, change: Change) -> tuple[str, ...]:
        events = set()
        if change.cause == "no_data":
            events.add("no_data")
        elif change.state == "firing":
            events.add(_reached(change) if change.event == "released" else change.event)
        if change.state == "resolved":
            events.add("resolved")
        if events & {"escalated", "deescalated"} and (rule.name, device) not in self.told:
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


def _reached(change: Change) -> str:
    if change.previous is None:
        return "firing"
    return "escalated" if RANKS.index(change.level) > RANKS.index(change.previous) else "deescalated"
