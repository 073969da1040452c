"""From a change of an alert to the transition that is told: texts, commands, cooldowns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from edge_gateway.records.alerts import LEVELS, CommandIntent, Transition, alert_id
from edge_gateway.rules.alerts.state import NOTHING
from edge_gateway.rules.language.template import render

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_gateway.columns.frame import IntColumn
    from edge_gateway.rules.alerts.state import Change
    from edge_gateway.rules.columns.registry_view import RegistryView
    from edge_gateway.rules.language.ruleset import Command, Rule

NO_READING = -1
LONGEST_LABEL, LONGEST_ANNOTATION = 500, 2_000
"""Bytes of a rendered text. With 32 labels and 16 annotations an alert and a command's arguments fit into a message."""


class Reading(NamedTuple):
    """The reading behind a change; on a tick the device's newest one. NO_READING where there is none."""

    boot: int
    seq: int
    backlog: bool


class Shown(NamedTuple):
    """What a transition shows of a change: the metric it is about, the reading, its value, the limit."""

    metric: str
    reading: Reading
    value: float | None
    limit: float | None


CooldownKey = tuple[int, str, int, str]
"""Device, rule, number of the command in the rule, level."""


class Notices:
    """Builds transitions; remembers when a command with a cooldown was last given."""

    def __init__(self, registry: RegistryView) -> None:
        self._registry = registry
        self._given: dict[CooldownKey, int] = {}

    def transition(self, rule: Rule, device: int, change: Change, onset: int, shown: Shown) -> Transition:
        """The transition of a change, commands and all."""
        told = change.state in ("firing", "resolved") or change.cause == "no_data"
        live = not shown.reading.backlog
        commands = self._commands(rule, device, change) if live and rule.commands else ()
        return self.standing(
            rule, device, change, onset, shown, notify=told and live and rule.notify_device, commands=commands
        )

    def standing(
        self,
        rule: Rule,
        device: int,
        change: Change,
        onset: int,
        shown: Shown,
        *,
        notify: bool = False,
        commands: tuple[CommandIntent, ...] = (),
    ) -> Transition:
        """The same, by itself without notice and commands, as an alert is listed."""
        registry, reading = self._registry, shown.reading
        subject = registry.device_name[device]
        labels, annotations = self._texts(rule, device, change, shown)
        return Transition(
            id=alert_id(rule.group, rule.name, subject, onset),
            group=rule.group,
            rule=rule.name,
            level=LEVELS[change.rank],
            previous_level=None if change.previous == NOTHING else LEVELS[change.previous],
            state=change.state,
            subject=subject,
            site=registry.device_site[device],
            metric=shown.metric,
            value=shown.value,
            limit=shown.limit,
            at=change.at,
            boot=reading.boot,
            seq=reading.seq,
            cause=change.cause,
            backlog=reading.backlog,
            notify=notify,
            labels=labels,
            annotations=annotations,
            commands=commands,
        )

    def _texts(
        self, rule: Rule, device: int, change: Change, shown: Shown
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Labels and annotations, filled in."""
        if not (rule.labels or rule.annotations):
            return {}, {}
        values, tags = self._values(rule, device, change, shown), self._registry.tags(device)
        labels = {
            name: _cut(render(text, values, {}, tags), LONGEST_LABEL) for name, text in rule.labels.items()
        }
        return labels, {
            name: _cut(render(text, values, labels, tags), LONGEST_ANNOTATION)
            for name, text in rule.annotations.items()
        }

    def _values(self, rule: Rule, device: int, change: Change, shown: Shown) -> dict[str, Any]:
        subject = self._registry.device_name[device]
        return {
            "device": subject,
            "subject": subject,
            "site": self._registry.device_site[device],
            "type": self._registry.type(device),
            "group": rule.group,
            "rule": rule.name,
            "level": LEVELS[change.rank],
            "state": change.state,
            "metric": shown.metric,
            "value": shown.value,
            "limit": shown.limit,
            "unit": rule.unit or "",
        }

    def _commands(self, rule: Rule, device: int, change: Change) -> tuple[CommandIntent, ...]:
        level = LEVELS[change.rank]
        return tuple(
            _intent(command)
            for number, command in enumerate(rule.commands)
            if change.cause in command.on
            and self._may(command, (device, rule.name, number, level), change.at)
        )

    def _may(self, command: Command, key: CooldownKey, at: int) -> bool:
        """Whether the cooldown is over; if so it begins again."""
        if not command.cooldown_ms:
            return True
        last = self._given.get(key)
        if last is not None and 0 <= at - last < command.cooldown_ms:
            return False
        self._given[key] = at
        return True

    def forget_rules(self, gone: Callable[[str], bool]) -> None:
        """Drop the cooldowns of rules that are no more."""
        self._given = {key: at for key, at in self._given.items() if not gone(key[1])}

    def forget(self, devices: IntColumn) -> None:
        """Drop the cooldowns of devices that are no more."""
        gone = set(devices.tolist())
        self._given = {key: at for key, at in self._given.items() if key[0] not in gone}

    def snapshot(self) -> list[list[Any]]:
        return [[*key, at] for key, at in sorted(self._given.items())]

    def restore(self, state: list[list[Any]]) -> None:
        self._given = {(device, rule, number, level): at for device, rule, number, level, at in state}


def _cut(text: str, most: int) -> str:
    return text if len(text) * 4 <= most else text.encode()[:most].decode(errors="ignore")


def _intent(command: Command) -> CommandIntent:
    return CommandIntent(
        name=command.name,
        args=dict(command.args),
        expires_ms=command.expires_ms,
        confirm_within_ms=command.within_ms,
        retries=command.retries,
    )
