"""Build the transition of an alert's change: its id and time, rendered texts, commands, cooldowns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from edge_gateway.records.alerts import LEVELS, CommandIntent, Transition, alert_id
from edge_gateway.rules.alerts.commands import RuleCommands
from edge_gateway.rules.alerts.sentences import without_value
from edge_gateway.rules.alerts.state_machine import NOTHING
from edge_gateway.rules.alerts.told import Told
from edge_gateway.rules.language.template import names_in, render

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_gateway.columns.frame import IntColumn
    from edge_gateway.rules.alerts.state_machine import ActiveAlert, StateChange
    from edge_gateway.rules.alerts.told import Key
    from edge_gateway.rules.columns.registry_view import Subjects
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

    `silent`: only that a metric is missing makes the alert fire. `read_at` is the device time (ms) of the change if the
    reading caused it, None if time or an operator did. `devices`: of a group those that the change is about.
    """

    metric: str
    reading: Reading
    value: float | None
    limit: float | None
    silent: bool = False
    read_at: int | None = None
    devices: str = ""


class TransitionBuilder:
    """Builds transitions; remembers what was told of alerts, and which commands were given.

    `record`: number of the journal record that holds the transitions, from which the ids of alerts follow.
    """

    def __init__(self, registry: Subjects) -> None:
        self.record = 0
        self._registry = registry
        self._stamps: dict[Key, int] = {}
        """The time of the last transition of each device and rule, ms."""
        self.commands = RuleCommands()
        self.told = Told()

    def transition(
        self, rule: Rule, device: int, change: StateChange, alert: ActiveAlert, details: Details
    ) -> Transition:
        """The transition of a change, with its notice and its commands. An alert that begins is given its id.

        Those of a backlog reading are owed, but for the end of an alert with closing commands: that is told at once.
        """
        noticeable = change.state in ("firing", "resolved") or change.cause == "no_data"
        live = not details.reading.backlog or self.commands.closes(rule, device, change)
        told = self.told.fires((device, rule.name))
        commands = (
            self.commands.give(rule, device, change, told=told, read_at=details.read_at) if live else ()
        )
        self.commands.note(rule, device, change)
        stamp = self._stamp((device, rule.name), change.at)
        if not alert.id:
            alert.id = alert_id(rule.name, self._registry.device_name[device], stamp, self.record)
        if change is alert.change:
            alert.stamp = stamp
        self.told.note((device, rule.name), change, alert.id, live=live)
        return self.build(
            rule,
            device,
            change._replace(at=stamp),
            alert.id,
            details,
            notify=noticeable and live and rule.notify_device,
            commands=commands,
        )

    def _stamp(self, key: Key, at: int) -> int:
        """The time of a transition: that of its change, but later than the last one of its device and rule, ms."""
        stamp = self._stamps[key] = max(at, self._stamps.get(key, at - 1) + 1)
        return stamp

    def build(
        self,
        rule: Rule,
        device: int,
        change: StateChange,
        alert: str,
        details: Details,
        *,
        notify: bool = False,
        commands: tuple[CommandIntent, ...] = (),
    ) -> Transition:
        """A transition of the alert with this id; by default without notice and commands."""
        registry, reading = self._registry, details.reading
        subject = registry.device_name[device]
        labels, annotations = self._texts(rule, device, change, details)
        return Transition(
            id=alert,
            group=rule.group,
            rule=rule.name,
            level=LEVELS[change.rank],
            was=None if change.previous == NOTHING else LEVELS[change.previous],
            state=change.state,
            event=change.event,
            cause=change.cause,
            subject=subject,
            site=registry.device_site[device],
            metric=details.metric,
            value=details.value,
            limit=details.limit,
            at=change.at,
            boot=reading.boot,
            seq=reading.seq,
            backlog=reading.backlog,
            notify=notify,
            labels=labels,
            annotations=annotations,
            commands=commands,
        )

    def _texts(
        self, rule: Rule, device: int, change: StateChange, details: Details
    ) -> tuple[dict[str, str], dict[str, str]]:
        """The rendered labels and annotations; a plain sentence where one names a value or limit that is not there."""
        if not (rule.labels or rule.annotations):
            return {}, {}
        values, tags = self._values(rule, device, change, details), self._registry.tags(device)
        labels = {
            name: _cut(render(text, values, {}, tags), LONGEST_LABEL) for name, text in rule.labels.items()
        }
        unknown = {name for name in ("value", "limit") if values[name] is None}
        subject = self._registry.device_name[device]
        return labels, {
            name: _cut(
                render(text, values, labels, tags)
                if unknown.isdisjoint(names_in(text))
                else without_value(rule, subject, change, silent=details.silent),
                LONGEST_ANNOTATION,
            )
            for name, text in rule.annotations.items()
        }

    def _values(self, rule: Rule, device: int, change: StateChange, details: Details) -> dict[str, Any]:
        subject = self._registry.device_name[device]
        return {
            "device": subject,
            "devices": details.devices,
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

    def forget_rules(self, gone: Callable[[str], bool], newest: IntColumn) -> None:
        """Drop the cooldowns of rules that are gone, and what was told of their alerts.

        Args:
            gone: whether a rule is.
            newest: each device's newest accepted time, ms. The stamps of a rule that is gone are kept as long as one
                that comes back could give the same.
        """
        self._stamps = {
            key: at for key, at in self._stamps.items() if not gone(key[1]) or at >= newest[key[0]]
        }
        self._keep(lambda key: not gone(key[1]))

    def forget(self, devices: IntColumn) -> None:
        """Drop the cooldowns of retired devices, and what they were told."""
        gone = set(devices.tolist())
        self._stamps = {key: at for key, at in self._stamps.items() if key[0] not in gone}
        self._keep(lambda key: key[0] not in gone)

    def _keep(self, kept: Callable[[Key], bool]) -> None:
        self.commands.keep(kept)
        self.told.keep(kept)

    def shift(self, by: Mapping[int, int]) -> None:
        """Follow clocks that were set by so many ms, by device: cooldowns keep their durations."""
        self.commands.shift(by)
        self.told.shift(by)

    def snapshot(self) -> dict[str, Any]:
        return {
            "commands": self.commands.snapshot(),
            "stamps": [[*key, at] for key, at in sorted(self._stamps.items())],
            "told": self.told.snapshot(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.commands = RuleCommands.from_snapshot(state["commands"])
        self._stamps = {(device, rule): at for device, rule, at in state["stamps"]}
        self.told = Told.from_snapshot(state["told"])


def _cut(text: str, most: int) -> str:
    return text if len(text) * 4 <= most else text.encode()[:most].decode(errors="ignore")
