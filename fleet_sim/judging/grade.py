"""Grades alerts by the labels of faults, and commands by what devices executed.

Alerts count up to the end of the run. Later ones tell that the fleet fell silent, or are of another run; so a grade is
the same whenever it is asked for.

Latency is arrival at the device minus the send time of the reading that caused the alert or command.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from fleet_config.durations import format_duration
from fleet_sim.devices.pacing import Percentiles
from fleet_sim.judging.moments import at_second
from fleet_sim.ledger.reading import Ledger
from fleet_wire.control_messages import NO_CHANGE

__all__ = [
    "Alert",
    "CommandGrade",
    "Grade",
    "Label",
    "RuleGrade",
    "grade",
    "grade_alerts",
    "grade_commands",
    "send_times",
]

LEVELS = {"info": 0, "warning": 1, "critical": 2}
MOST_EXAMPLES = 10


class Label(NamedTuple):
    """A span (ms since 1970) in which something is wrong with a device, and the alert that this must raise.

    The alert is of `rule`, of at least `level`, and fires at most `within` ms after `start`. `metric` is the only one
    that is disturbed; None: a fault of the device or its link, by which every rule may fire.
    """

    device: str
    start: int
    until: int
    what: str
    rule: str | None = None
    within: int = 0
    level: str | None = None
    metric: str | None = None

    def explains(self, firing: "Firing", rule: str) -> bool:
        """Return whether an alert of `rule` on this device is due to what was wrong."""
        if not self.start <= firing.start <= self.until + self.within:
            return False
        return rule == self.rule or self.metric is None or firing.metric in (None, self.metric)


class Alert(NamedTuple):
    """One transition as a gateway published it.

    `at` is the time of the reading that caused it (ms since 1970), `metric` the one that the rule is about.
    """

    id: str
    rule: str
    level: str
    state: str
    subject: str
    at: int
    event: str
    metric: str | None = None


@dataclass(slots=True)
class RuleGrade:
    """Score of one rule. Precision: share of alerts with a cause. Recall: share of causes with an alert."""

    expected: int = 0
    missed: int = 0
    fired: int = 0
    false: int = 0

    @property
    def precision(self) -> float:
        return 1.0 - self.false / self.fired if self.fired else 1.0

    @property
    def recall(self) -> float:
        return 1.0 - self.missed / self.expected if self.expected else 1.0


@dataclass(slots=True)
class CommandGrade:
    """The commands that reached devices, by what became of them; `repeated` are deliveries of one known already."""

    received: int = 0
    executed: int = 0
    executed_twice: int = 0
    unanswered: int = 0
    rejected: int = 0
    failed: int = 0
    repeated: int = 0
    latency: Percentiles = field(default_factory=lambda: Percentiles.of(()))
    ack: Percentiles = field(default_factory=lambda: Percentiles.of(()))


@dataclass(slots=True)
class Grade:
    """The grade of a run: alerts by rule, and commands.

    `repeated` counts transitions published twice, `open` labels whose alert still had time at the end; `not_begun` of
    them were due to begin later. `latency` is in microseconds, from the sending of the cause to the arrival at the
    device.
    """

    rules: dict[str, RuleGrade] = field(default_factory=dict)
    repeated: int = 0
    open: int = 0
    not_begun: int = 0
    latency: Percentiles = field(default_factory=lambda: Percentiles.of(()))
    commands: CommandGrade = field(default_factory=CommandGrade)
    examples: list[str] = field(default_factory=list)

    @property
    def missed(self) -> int:
        return sum(rule.missed for rule in self.rules.values())

    @property
    def false(self) -> int:
        return sum(rule.false for rule in self.rules.values())

    @property
    def ok(self) -> bool:
        return not (self.missed or self.false or self.repeated or self.commands.executed_twice)

    def measures(self) -> dict[str, float]:
        """Return the measures that a scenario may set expectations for; times in ms."""
        fired = sum(rule.fired for rule in self.rules.values())
        expected = sum(rule.expected for rule in self.rules.values())
        found: dict[str, float] = {
            "alerts.missed": self.missed,
            "alerts.false": self.false,
            "alerts.repeated": self.repeated,
            "alerts.precision": 1.0 - self.false / fired if fired else 1.0,
            "alerts.recall": 1.0 - self.missed / expected if expected else 1.0,
            "commands.received": self.commands.received,
            "commands.rejected": self.commands.rejected,
            "commands.failed": self.commands.failed,
            "commands.repeated": self.commands.executed_twice,
        }
        for name, times in (
            ("alerts.latency", self.latency),
            ("commands.latency", self.commands.latency),
            ("commands.ack", self.commands.ack),
        ):
            if times.count:
                percentiles = ("p50", "p90", "p95", "p99")
                found |= {f"{name}.{each}": getattr(times, each) / 1000.0 for each in percentiles}
                found[f"{name}.max"] = times.most / 1000.0
        return found


def labels_of(ledger: Ledger) -> list[Label]:
    """Return every label of a run: its faults, and the excursions of its signals."""
    labels = []
    for fault in ledger.of_kind("fault"):
        expect = fault.get("expect") or {}
        labels += [
            Label(
                device, fault["from"], fault["until"], fault["kind"],
                expect.get("rule"), int(expect.get("within") or 0), expect.get("level"), fault.get("metric"),
            )
            for device in fault["devices"]
        ]  # fmt: skip
    firsts = _first_devices(ledger)
    for episode in ledger.of_kind("episode"):
        device = ledger.devices[firsts[episode["group"]] + episode["row"]].id
        metric = episode["metric"]
        labels.append(
            Label(device, episode["from_ms"], episode["until_ms"], f"episode {metric}", metric=metric)
        )
    return labels


def _first_devices(ledger: Ledger) -> dict[str, int]:
    firsts: dict[str, int] = {}
    for index, device in enumerate(ledger.devices):
        firsts.setdefault(ledger.groups[device.group].name, index)
    return firsts


def alerts_of(ledger: Ledger) -> list[Alert]:
    """Return the alert transitions that the run received, without those that were only retained."""
    return [
        Alert(
            row["id"],
            row["rule"],
            row["level"],
            row["state"],
            row["subject"],
            row["raised"],
            row["event"],
            row.get("metric"),
        )
        for row in ledger.of_kind("alert")
        if not row["retained"]
    ]


def grade(ledger: Ledger, alerts: Sequence[Alert] | None = None) -> Grade:
    """Grade a run by the alerts that it received, or by those of `alerts`, a gateway's history, since it began."""
    begun = ledger.header["start_ms"]
    heard = alerts_of(ledger) if alerts is None else [alert for alert in alerts if alert.at >= begun]
    result = grade_alerts(labels_of(ledger), heard, end_ms=_end_ms(ledger))
    result.latency = Percentiles.of(_latencies(ledger, _first_arrivals(ledger)))
    result.commands = grade_commands(ledger)
    return result


def _end_ms(ledger: Ledger) -> int:
    """Return the simulated time (ms since 1970) up to which the fleet measured; of a killed run, when it last sent."""
    for row in ledger.of_kind("over"):
        return int(row["at"])
    if ledger.end:
        return _simulated(ledger, ledger.end["at"] // 1000)
    sent = [int(group.table["sent"].max()) // 1000 for group in ledger.groups if len(group.table)]
    return max(_simulated(ledger, max(sent, default=0)), int(ledger.header["start_ms"]))


def _simulated(ledger: Ledger, wall_ms: int) -> int:
    """Turn a wall time into the run's simulated time, both in ms since 1970."""
    begun, speed = ledger.header["started_us"] // 1000, ledger.header["speed"]
    return int(ledger.header["start_ms"] + (wall_ms - begun) * speed)


def grade_alerts(labels: Sequence[Label], alerts: Sequence[Alert], *, end_ms: int) -> Grade:
    """Compare alerts up to `end_ms` with labels; a label whose alert may still come later is open.

    What only tells again that an alert fires or has ended does not count.
    """
    result = Grade()
    alerts = [alert for alert in alerts if alert.at <= end_ms and alert.event not in NO_CHANGE]
    graded = {label.rule for label in labels if label.rule}
    firings = _firings(alerts)
    for label in labels:
        if label.rule:
            _grade_label(label, firings, end_ms, result)
    by_device: dict[str, list[Label]] = defaultdict(list)
    for label in labels:
        by_device[label.device].append(label)
    for (rule, subject), spans in firings.items():
        if rule in graded:
            _grade_firings(rule, subject, spans, by_device[subject], result)
    counted = Counter(
        (alert.id, alert.event, alert.level, alert.at) for alert in alerts if alert.state == "firing"
    )
    result.repeated = sum(times - 1 for times in counted.values())
    return result


class Firing(NamedTuple):
    """One alert from its firing until it resolved (None: it has not); `level` is the highest it had."""

    start: int
    end: int | None
    level: str
    metric: str | None


def _firings(alerts: Iterable[Alert]) -> dict[tuple[str, str], list[Firing]]:
    found: dict[tuple[str, str], dict[str, Firing]] = defaultdict(dict)
    for alert in alerts:
        spans = found[alert.rule, alert.subject]
        before = spans.get(alert.id)
        if alert.state == "firing":
            start = min(alert.at, before.start) if before else alert.at
            level = max(alert.level, before.level if before else "info", key=lambda each: LEVELS.get(each, 0))
            spans[alert.id] = Firing(start, before.end if before else None, level, alert.metric)
        elif alert.state == "resolved" and before:
            spans[alert.id] = before._replace(end=alert.at)
    return {
        key: sorted(spans.values(), key=lambda firing: firing.start) for key, spans in found.items() if spans
    }


def _grade_label(
    label: Label, firings: Mapping[tuple[str, str], list[Firing]], end_ms: int, result: Grade
) -> None:
    assert label.rule is not None
    if label.start > end_ms:
        result.open += 1
        result.not_begun += 1
        return
    deadline = label.start + label.within
    hit = any(
        firing.start <= deadline
        and (firing.end is None or firing.end >= label.start)
        and (label.level is None or LEVELS[firing.level] >= LEVELS[label.level])
        for firing in firings.get((label.rule, label.device), ())
    )
    if not hit and deadline > end_ms:
        result.open += 1
        return
    rule = result.rules.setdefault(label.rule, RuleGrade())
    rule.expected += 1
    if not hit:
        rule.missed += 1
        within = format_duration(label.within)
        _example(result, f"missed: {label.rule} on {label.device} within {within} of {label.what}")


def _grade_firings(rule: str, subject: str, spans: list[Firing], labels: list[Label], result: Grade) -> None:
    graded = result.rules.setdefault(rule, RuleGrade())
    for firing in spans:
        graded.fired += 1
        if not any(label.explains(firing, rule) for label in labels):
            graded.false += 1
            _example(
                result,
                f"false: {rule} on {subject} at {at_second(firing.start)}: nothing was wrong that explains it",
            )


def _example(result: Grade, text: str) -> None:
    if len(result.examples) < MOST_EXAMPLES:
        result.examples.append(text)


def _first_arrivals(ledger: Ledger) -> list[Mapping[str, Any]]:
    """Return how each alert first came to its device: as a notice, or with a command that it caused."""
    notices = [row for row in ledger.of_kind("notice") if row.get("state") == "firing"]
    commands = [row for row in ledger.of_kind("command") if row.get("alert") is not None]
    first: dict[str, Mapping[str, Any]] = {}
    for row in sorted((*notices, *commands), key=lambda each: each["at"]):
        if row.get("boot") is not None:
            first.setdefault(row["alert"], row)
    return list(first.values())


def _latencies(ledger: Ledger, arrivals: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the microseconds from the sending of the cause to each arrival; causes never sent are left out."""
    causes = [(row["device"], row["boot"], row["seq"]) for row in arrivals]
    return [
        row["at"] - sent
        for row, sent in zip(arrivals, send_times(ledger, causes), strict=True)
        if sent is not None
    ]


def send_times(ledger: Ledger, causes: Sequence[tuple[int, int, int]]) -> list[int | None]:
    """Return when each message (device, boot, seq) was first sent, in microseconds since 1970; None: never."""
    wanted = set(causes)
    devices = np.array(sorted({device for device, _, _ in wanted}), dtype=np.int64)
    found: dict[tuple[int, int, int], int] = {}
    tables = [(group.table, "sent") for group in ledger.groups] + [(ledger.tables["sends"], "at")]
    for table, column in tables:
        rows = np.flatnonzero(np.isin(table["device"], devices) & (table[column] > 0))
        columns = (table[name][rows].tolist() for name in ("device", "boot", "seq", column))
        for device, boot, seq, at in zip(*columns, strict=True):
            if (device, boot, seq) in wanted:
                found[device, boot, seq] = min(at, found.get((device, boot, seq), at))
    return [found.get(cause) for cause in causes]


def grade_commands(ledger: Ledger) -> CommandGrade:
    """Grade the commands: each must be executed once, and answered."""
    arrivals = ledger.of_kind("command")
    executions = Counter(
        (row["device"], row["id"]) for row in ledger.of_kind("executed") if row["outcome"] == "done"
    )
    outcomes = Counter(row["outcome"] for row in ledger.of_kind("executed"))
    first: dict[tuple[int, str], dict[str, Any]] = {}
    for row in arrivals:
        first.setdefault((row["device"], row["id"]), row)
    answers: dict[tuple[int, str], int] = {}
    for row in ledger.of_kind("answered"):
        answers.setdefault((row["device"], row["id"]), row["at"])
    caused = [row for row in first.values() if row.get("boot") is not None]
    return CommandGrade(
        received=len(first),
        executed=len(executions),
        executed_twice=sum(times > 1 for times in executions.values()),
        unanswered=len(first.keys() - answers.keys()),
        rejected=outcomes["rejected"],
        failed=outcomes["failed"],
        repeated=len(arrivals) - len(first),
        latency=Percentiles.of(_latencies(ledger, caused)),
        ack=Percentiles.of([at - first[key]["at"] for key, at in answers.items() if key in first]),
    )
