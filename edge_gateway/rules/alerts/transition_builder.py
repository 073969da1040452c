"""Build the transition of an alert's change: rendered texts, commands, cooldowns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from edge_gateway.records.alerts import LEVELS, CommandIntent, Transition, alert_id
from edge_gateway.rules.alerts.commands import RuleCommands
from edge_gateway.rules.alerts.state_machine import NOTHING
from edge_gateway.rules.alerts.told import Told
from edge_gateway.rules.language.template import render

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_gateway.columns.frame import IntColumn
    from edge_gateway.rules.alerts.state_machine import StateChange
    from edge_gateway.rules.alerts.told import Key
    from edge_gateway.rules.columns.registry_view import RegistryView
    from edge_gateway.rules.language.ruleset import Rule

LONGEST_LABEL, LONGEST_ANNOTATION = 500, 2_000
"""Bytes of a rendered text. With 32 labels and 16 annotations an alert and a command's arguments fit into a message."""


class Reading(NamedTuple):
    """The reading behind a change, on a tick the device's newest one. `backlog`: it is too old to act on."""

    boot: int
    seq: int
    backlog: bool


class Details(NamedTuple):
    """What a transition shows beside the change: metric, reading, value and limit (None: not known).

    `read_at` is the device time (ms) of the change if the reading caused it, None if time or an operator did.
    """

    metric: str
    reading: Reading
    value: float | None
    limit: float | None
    read_at: int | None = None


class TransitionBuilder:
    """Builds transitions; remembers what was told of alerts, and which commands were given."""

    def __init__(self, registry: RegistryView) -> None:
        self._registry = registry
        self.commands = RuleCommands()
        self.told = Told()

    def transition(
        self, rule: Rule, device: int, change: StateChange, onset: int, details: Details
    ) -> Transition:
        """The transition of a change, with its notice and its commands.

        Those of a backlog reading are owed, but for the end of an alert with closing commands: that is told at once.
        """
        noticeable = change.state in ("firing", "resolved") or change.cause == "no_data"
        live = not details.reading.backlog or self.commands.closes(rule, device, change)
        told = self.told.fires((device, rule.name))
        commands = (
            self.commands.give(rule, device, change, told=told, read_at=details.read_at) if live else ()
        )
        self.commands.note(rule, device, change)
        self.told.note((device, rule.name), change, onset, live=live)
        return self.build(
            rule,
            device,
            change,
            onset,
            details,
            notify=noticeable and live and rule.notify_device,
            commands=commands,
        )

    def build(
        self,
        rule: Rule,
        device: int,
        change: StateChange,
        onset: int,
        details: Details,
        *,
        notify: bool = False,
        commands: tuple[CommandIntent, ...] = (),
    ) -> Transition:
        """A transition; by default without notice and commands."""
        registry, reading = self._registry, details.reading
        subject = registry.device_name[device]
        labels, annotations = self._texts(rule, device, change, details)
        return Transition(
            id=alert_id(rule.group, rule.name, subject, onset),
            group=rule.group,
            rule=rule.name,
            level=LEVELS[change.rank],
            previous_level=None if change.previous == NOTHING else LEVELS[change.previous],
            state=change.state,
            subject=subject,
            site=registry.device_site[device],
            metric=details.metric,
            value=details.value,
            limit=details.limit,
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
        self, rule: Rule, device: int, change: StateChange, details: Details
    ) -> tuple[dict[str, str], dict[str, str]]:
        """The rendered labels and annotations."""
        if not (rule.labels or rule.annotations):
            return {}, {}
        values, tags = self._values(rule, device, change, details), self._registry.tags(device)
        labels = {
            name: _cut(render(text, values, {}, tags), LONGEST_LABEL) for name, text in rule.labels.items()
        }
        return labels, {
            name: _cut(render(text, values, labels, tags), LONGEST_ANNOTATION)
            for name, text in rule.annotations.items()
        }

    def _values(self, rule: Rule, device: int, change: StateChange, details: Details) -> dict[str, Any]:
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
            "metric": details.metric,
            "value": details.value,
            "limit": details.limit,
            "unit": rule.unit or "",
        }

    def forget_rules(self, gone: Callable[[str], bool]) -> None:
        """Drop the cooldowns of rules that are gone, and what was told of their alerts."""
        self._keep(lambda key: not gone(key[1]))

    def forget(self, devices: IntColumn) -> None:
        """Drop the cooldowns of retired devices, and what they were told."""
        gone = set(devices.tolist())
        self._keep(lambda key: key[0] not in gone)

    def _keep(self, kept: Callable[[Key], bool]) -> None:
        self.commands.keep(kept)
        self.told.keep(kept)

    def shift(self, by: Mapping[int, int]) -> None:
        """Follow clocks that were set by so many ms, by device: cooldowns keep their durations."""
        self.commands.shift(by)
        self.told.shift(by)

    def snapshot(self) -> dict[str, Any]:
        return {"commands": self.commands.snapshot(), "told": self.told.snapshot()}

    def restore(self, state: dict[str, Any]) -> None:
        self.commands = RuleCommands.from_snapshot(state["commands"])
        self.told = Told.from_snapshot(state["told"])


def _cut(text: str, most: int) -> str:
    return text if len(text) * 4 <= most else text.encode()[:most].decode(errors="ignore")
