"""Build the transition of an alert's change: its id and time, rendered texts, commands, cooldowns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from edge_gateway.records.alerts import LEVELS, Transition, alert_id
from edge_gateway.rules.alerts.commands import GivenCommands, RuleCommands
from edge_gateway.rules.alerts.sentences import without_value
from edge_gateway.rules.alerts.state_machine import NOTHING, StateChange
from edge_gateway.rules.alerts.told import Told
from edge_gateway.rules.language.template import names_in, render
from edge_gateway.rules.muting.subject import AlertSubject, attributes_of
from edge_gateway.rules.muting.verdicts import MuteVerdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_gateway.columns.frame import IntColumn
    from edge_gateway.rules.alerts.state_machine import ActiveAlert
    from edge_gateway.rules.alerts.told import Key
    from edge_gateway.rules.columns.registry_view import Subjects
    from edge_gateway.rules.language.ruleset import Rule
    from edge_gateway.rules.muting.acknowledgements import Acknowledgement
    from edge_gateway.rules.muting.verdicts import Muting

_NONE: Final = GivenCommands()
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


class Texts(NamedTuple):
    """The rendered labels and annotations of a transition."""

    labels: dict[str, str]
    annotations: dict[str, str]


class TransitionBuilder:
    """Builds transitions; remembers what was told of alerts, what mutes them, and which commands were given.

    `record`: number of the journal record that holds the transitions, from which the ids of alerts follow.
    """

    def __init__(self, registry: Subjects, muting: Muting) -> None:
        self.record = 0
        self._registry = registry
        self._stamps: dict[Key, int] = {}
        """The time of the last transition of each device and rule, ms."""
        self.commands = RuleCommands()
        self.told = Told()
        self.muting = muting

    def transition(
        self, rule: Rule, device: int, change: StateChange, alert: ActiveAlert, details: Details
    ) -> Transition:
        """The transition of a change, with its notice and its commands. An alert that begins is given its id.

        Those of a backlog reading are owed, but for the end of an alert with closing commands: that is told at once.
        """
        noticeable = change.state in ("firing", "resolved") or change.cause == "no_data"
        live = not details.reading.backlog or self.commands.closes(rule, device, change)
        texts = self._texts(rule, device, change, details)
        subject = self._subject(rule, device, change, texts.labels)
        verdict = self.muting.judge(subject, change, alert.id, live=live)
        given = self._commands(rule, device, change, details, muted=verdict.commands) if live else _NONE
        self.commands.note(rule, device, change)
        stamp = self._stamp((device, rule.name), change.at)
        if not alert.id:
            alert.id = alert_id(rule.name, self._registry.device_name[device], stamp, self.record)
        if change is alert.change:
            alert.stamp = stamp
        self.told.note((device, rule.name), change, alert.id, live=live, muted=verdict.commands)
        built = self.build(
            rule,
            device,
            change._replace(at=stamp),
            alert.id,
            details,
            texts=texts,
            notify=noticeable and live and rule.notify_device and not verdict.by,
            given=given,
            verdict=verdict,
        )
        self.muting.follow(subject, change, built, live=live)
        return built

    def _commands(
        self, rule: Rule, device: int, change: StateChange, details: Details, *, muted: bool
    ) -> GivenCommands:
        told = self.told.fires((device, rule.name))
        return self.commands.give(rule, device, change, told=told, muted=muted, read_at=details.read_at)

    def foresee(self, rule: Rule, device: int, change: StateChange, details: Details) -> None:
        """Note a change before any change of its input becomes a transition: what begins to fire inhibits at once."""
        if change.state == "firing":
            self.muting.inhibition.foresee(self.subject(rule, device, change, details))

    def subject(self, rule: Rule, device: int, change: StateChange, details: Details) -> AlertSubject:
        """The alert as silences and inhibits see it."""
        by_labels = self.muting.inhibition.by_labels and rule.labels
        labels = self._texts(rule, device, change, details).labels if by_labels else {}
        return self._subject(rule, device, change, labels)

    def _subject(
        self, rule: Rule, device: int, change: StateChange, labels: Mapping[str, str]
    ) -> AlertSubject:
        attributes = attributes_of(self._registry, device)
        return AlertSubject(
            rule.name, self._registry.device_name[device], LEVELS[change.rank], attributes, labels
        )

    def release(
        self, rule: Rule, device: int, change: StateChange, alert: str, details: Details
    ) -> Transition:
        """The transition that tells what was withheld, now that nothing mutes it any more; without commands."""
        stamp = self._stamp((device, rule.name), change.at)
        self.muting.notices.tell((rule.name, self._registry.device_name[device]), alert, change)
        return self.build(
            rule,
            device,
            change._replace(at=stamp),
            alert,
            details,
            notify=rule.notify_device,
            verdict=MuteVerdict(acked=self._is_acked(rule, device, alert)),
        )

    def acknowledge(
        self, rule: Rule, device: int, change: StateChange, given: Acknowledgement, details: Details
    ) -> Transition:
        """The transition that tells that somebody has seen an alert; it is no notice."""
        self.muting.acknowledgements.add((rule.name, self._registry.device_name[device]), given)
        stamp = self._stamp((device, rule.name), change.at)
        return self.build(rule, device, change._replace(at=stamp), given.alert, details)

    def remind(self, rule: Rule, device: int, alert: ActiveAlert, at: int, details: Details) -> Transition:
        """The transition that tells the sinks that an alert still fires; it is no notice, and has no commands."""
        stamp = self._stamp((device, rule.name), max(alert.at, at))
        change = StateChange("reminder", "time", "firing", alert.rank, alert.rank, stamp)
        return msgspec.structs.replace(self.build(rule, device, change, alert.id, details), since=alert.stamp)

    def _is_acked(self, rule: Rule, device: int, alert: str) -> bool:
        key = rule.name, self._registry.device_name[device]
        return self.muting.acknowledgements.of(key, alert) is not None

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
        texts: Texts | None = None,
        notify: bool = False,
        given: GivenCommands = _NONE,
        verdict: MuteVerdict | None = None,
    ) -> Transition:
        """A transition of the alert with this id; by default without notice and commands.

        `texts` by default are made here, and what mutes it is what does now.
        """
        registry, reading = self._registry, details.reading
        subject = registry.device_name[device]
        labels, annotations = texts or self._texts(rule, device, change, details)
        verdict = verdict or self._verdict_now(self._subject(rule, device, change, labels), alert)
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
            commands=given.intents,
            suppressed=verdict.by,
            held=given.held,
            acked=verdict.acked,
        )

    def _verdict_now(self, subject: AlertSubject, alert: str) -> MuteVerdict:
        withheld = self.muting.notices.withheld.get(subject.key)
        by = self.muting.standing(subject) or (() if withheld is None else withheld.by)
        return MuteVerdict(by, acked=self.muting.acknowledgements.of(subject.key, alert) is not None)

    def _texts(self, rule: Rule, device: int, change: StateChange, details: Details) -> Texts:
        """The rendered labels and annotations; a plain sentence where one names a value or limit that is not there."""
        if not (rule.labels or rule.annotations):
            return Texts({}, {})
        values, tags = self._values(rule, device, change, details), self._registry.tags(device)
        labels = {
            name: _cut(render(text, values, {}, tags), LONGEST_LABEL) for name, text in rule.labels.items()
        }
        unknown = {name for name in ("value", "limit") if values[name] is None}
        subject = self._registry.device_name[device]
        annotations = {
            name: _cut(
                render(text, values, labels, tags)
                if unknown.isdisjoint(names_in(text))
                else without_value(rule, subject, change, silent=details.silent),
                LONGEST_ANNOTATION,
            )
            for name, text in rule.annotations.items()
        }
        return Texts(labels, annotations)

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
