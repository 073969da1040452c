"""Which commands of its rule a change of an alert gives: by events, cooldowns, and what the rule has switched on.

`on` names events, and every event that holds counts: a level that silence raises is `firing` or `escalated`, and
`no_data`. Whatever ends an alert whose rule has commanded the device since the onset gives the commands on `resolved`:
neither a cooldown nor the age of the reading holds them, so that nothing stays switched on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from edge_gateway.records.alerts import LEVELS, CommandIntent
from edge_gateway.rules.alerts.state_machine import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_gateway.rules.alerts.state_machine import StateChange
    from edge_gateway.rules.alerts.told import Key
    from edge_gateway.rules.language.ruleset import Command, Rule

CooldownKey = tuple[int, str, str, str]
"""(device number, rule name, the command's id, level)."""


def events_of(change: StateChange, *, told: bool) -> set[str]:
    """Every event that holds with a change; `told`: the device was told before that the alert fires."""
    events: set[str] = {"no_data", "repeat"}.intersection((change.event, change.cause))
    if change.state == "resolved":
        events.add("resolved")
    elif change.state == "firing" and change.event != "repeat" and change.rank != change.previous:
        if change.previous == NOTHING or not told:
            events.add("firing")
        if change.previous != NOTHING:
            events.add("escalated" if change.rank > change.previous else "deescalated")
    return events


class GivenCommands(NamedTuple):
    """The commands that a change gives, and the ids of those that are muted."""

    intents: tuple[CommandIntent, ...] = ()
    held: tuple[str, ...] = ()


class RuleCommands:
    """When each command was last given, and which alerts' rules have commanded since the onset."""

    def __init__(self) -> None:
        self._given_at: dict[CooldownKey, int] = {}
        self._commanded: set[Key] = set()

    def closes(self, rule: Rule, device: int, change: StateChange) -> bool:
        """Whether a change ends what commands of the rule began, and the rule has commands for that."""
        ends = change.state == "resolved" and (device, rule.name) in self._commanded
        return ends and any("resolved" in command.on for command in rule.commands)

    def give(
        self,
        rule: Rule,
        device: int,
        change: StateChange,
        *,
        told: bool,
        muted: bool = False,
        read_at: int | None,
    ) -> GivenCommands:
        """The commands that a change gives, in the order of the file; `muted`: only those that end earlier ones.

        `read_at` is the time of the reading that caused it (device time, ms), None if time or an operator did.
        """
        closes, events = self.closes(rule, device, change), events_of(change, told=told)
        found, held = [], []
        for command in rule.commands:
            if events.isdisjoint(command.on):
                continue
            key = (device, rule.name, command.id, LEVELS[change.rank])
            closing = closes and "resolved" in command.on
            if muted and not closing:
                held.append(command.id)
            elif closing or self._is_over(command, key, change.at):
                self._given_at[key] = change.at
                found.append(_intent(command, None if closing else read_at, closing=closing))
        if found and change.state == "firing":
            self._commanded.add((device, rule.name))
        return GivenCommands(tuple(found), tuple(held))

    def _is_over(self, command: Command, key: CooldownKey, at: int) -> bool:
        """Whether the command's cooldown is over at `at` (device time, ms)."""
        last = self._given_at.get(key) if command.cooldown_ms else None
        return last is None or at - last >= command.cooldown_ms

    def note(self, rule: Rule, device: int, change: StateChange) -> None:
        """Note the end of an alert, told or not: what is commanded from here on belongs to its next onset."""
        if change.state == "resolved":
            self._commanded.discard((device, rule.name))

    def keep(self, kept: Callable[[Key], bool]) -> None:
        """Forget all other alerts."""
        self._given_at = {key: at for key, at in self._given_at.items() if kept(key[:2])}
        self._commanded = {key for key in self._commanded if kept(key)}

    def shift(self, by: Mapping[int, int]) -> None:
        """Follow clocks that were set by so many ms, by device: cooldowns keep their durations."""
        self._given_at = {key: at + by.get(key[0], 0) for key, at in self._given_at.items()}

    def snapshot(self) -> dict[str, Any]:
        return {
            "cooldowns": [[*key, at] for key, at in sorted(self._given_at.items())],
            "commanded": sorted(map(list, self._commanded)),
        }

    @classmethod
    def from_snapshot(cls, state: dict[str, Any]) -> RuleCommands:
        restored = cls()
        restored._given_at = {
            (device, rule, command, level): at for device, rule, command, level, at in state["cooldowns"]
        }
        restored._commanded = {(device, rule) for device, rule in state["commanded"]}
        return restored


def _intent(command: Command, read_at: int | None, *, closing: bool) -> CommandIntent:
    return CommandIntent(
        id=command.id,
        name=command.name,
        args=dict(command.args),
        expires_ms=command.expires_ms,
        confirm_within_ms=command.within_ms,
        retries=command.retries,
        read_at=read_at,
        closing=closing,
    )
