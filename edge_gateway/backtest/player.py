"""Play samples to a dry fold, many at a time where nothing happens.

    samples ─▶ batches: until a device appears, a metric is missed, or there are enough
                 └▶ Admission, as for messages that arrive ──▶ frame
                       └▶ while no alert is active: all of it at once; kept if nothing changed
                          else, and from the first change on: one time stamp after another, and time before each

A gateway evaluates what arrives within some milliseconds together, and lets time pass four times a second. A tick
stamps what fell due with the time at which it did, so one right before the next reading leads to the same transitions;
and while no alert waits or fires and no metric is missed, nothing can fall due.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edge_gateway.columns.frame import part
from edge_gateway.records.inputs import Batch
from fleet_wire.control_messages import Birth, MetricInfo, encode_birth
from fleet_wire.telemetry import encode_telemetry
from fleet_wire.topics import STATUS, TELEMETRY, device_topic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from edge_gateway.backtest.dry_fold import DryFold
    from edge_gateway.backtest.readings import DeviceFacts, Sample
    from edge_gateway.columns.frame import Frame, IntColumn
    from edge_gateway.records.alerts import Transition
    from edge_gateway.rules.language.ruleset import RuleSet

__all__ = ["Player"]

BOOT: Final = 1
MOST_SAMPLES: Final = 4_096
"""In a batch."""
FIRST_REACH: Final = 32
"""Rows that are tried at once after a change."""
_NEVER: Final = 1 << 60


class Player:
    """Plays samples of known devices. A device is born with its first sample."""

    def __init__(self, fold: DryFold, devices: Mapping[str, DeviceFacts]) -> None:
        self._fold = fold
        self._devices = devices
        self._silences = MissedMetrics(fold.pipeline.rules.rules)
        self._known: set[str] = set()
        self._seqs: dict[str, int] = {}
        self._reach = FIRST_REACH
        self.refused = 0
        """Values that the gateway's configuration lets no rule see: out of range, or a code for missing."""

    def play(self, samples: Sequence[Sample]) -> None:
        """Play samples in the order of time. Time passes up to the last one."""
        for batch in self._batches(samples):
            first = batch[0].ts
            if self._seqs:
                self._pass_time(first - 1)
            self._bear(batch)
            self._evaluate(self._frames(batch))
        self._pass_time(samples[-1].ts)

    def _batches(self, samples: Sequence[Sample]) -> Iterator[list[Sample]]:
        """Cut samples between time stamps: where a device appears or a metric is missed, and when there are enough."""
        batch: list[Sample] = []
        for same in by_time(samples):
            new = any(each.device not in self._known for each in same)
            missed = self._silences.missed(same[0].ts)
            if batch and (new or missed or len(batch) + len(same) > MOST_SAMPLES):
                yield batch
                batch = []
            batch += same
            for each in same:
                if each.device not in self._known:
                    self._known.add(each.device)
                    self._silences.heard(each.device, self._devices[each.device].units, each.ts)
                self._silences.heard(each.device, each.m, each.ts)
        yield batch

    def _bear(self, batch: Sequence[Sample]) -> None:
        """Deliver the births of devices that are not known yet."""
        born = list(dict.fromkeys(each.device for each in batch if each.device not in self._seqs))
        if born:
            topics = [self._topic(device, STATUS) for device in born]
            self._fold.deliver(topics, [_birth(self._devices[device]) for device in born], batch[0].ts)

    def _frames(self, batch: Sequence[Sample]) -> list[Frame]:
        """Return samples as the gateway admits them when each arrives as a message."""
        topics, payloads = [], []
        for sample in batch:
            seq = self._seqs[sample.device] = self._seqs.get(sample.device, -1) + 1
            topics.append(self._topic(sample.device, TELEMETRY))
            payloads.append(encode_telemetry(BOOT, seq, sample.ts, sample.m, q=sample.q))
        moment = self._fold.moment(batch[-1].ts)
        pipeline = self._fold.pipeline
        pipeline.registry.set_clock(moment.listening)
        admitted = pipeline.admission.admit(Batch(moment, topics, payloads), list(range(len(topics))))
        taken = len(admitted.frame.row) + len(admitted.frame.state_row)
        self.refused += sum(len(sample.m) for sample in batch) - taken
        return [lap.frame for lap in admitted.laps]

    def _topic(self, device: str, kind: str) -> str:
        return device_topic(self._devices[device].site, device, kind)

    def _evaluate(self, frames: Sequence[Frame]) -> None:
        """Evaluate frames, whose times ascend."""
        for frame in frames:
            begin = 0
            while begin < frame.rows:
                begin = self._evaluate_next(frame, begin)

    def _evaluate_next(self, frame: Frame, begin: int) -> int:
        """Evaluate rows of a frame from `begin` on; return the first that is left."""
        if not self._any_alert_active:
            quiet = self._quiet_rows(frame, begin)
            if quiet > begin:
                return quiet
        at = int(frame.ts[begin])
        self._pass_time(at - 1)
        end = int(np.searchsorted(frame.ts, at, "right"))
        self._fold.transitions += self._take(frame, begin, end)
        return end

    def _quiet_rows(self, frame: Frame, begin: int) -> int:
        """Evaluate rows from `begin` on that change nothing; return the first that is left.

        What is tried at once doubles while nothing changes, so that little is evaluated twice where much does.
        """
        rules = self._fold.pipeline.rules
        before = rules.snapshot()
        last = min(begin + self._reach, frame.rows) - 1
        stop = int(np.searchsorted(frame.ts, frame.ts[last], "right"))
        changes = self._take(frame, begin, stop)
        if not changes:
            self._reach *= 2
            return stop
        self._reach = FIRST_REACH
        rules.restore(before)
        first = min(self._row_of(each, frame) for each in changes)
        end = int(np.searchsorted(frame.ts, frame.ts[first], "left"))
        if end <= begin:
            return begin
        self._fold.transitions += self._take(frame, begin, end)
        return end

    def _take(self, frame: Frame, begin: int, end: int) -> list[Transition]:
        rows = np.zeros(frame.rows, np.bool_)
        rows[begin:end] = True
        rules = self._fold.pipeline.rules
        rules.begin(self._fold.next_number())
        taken = part(frame, rows)
        changes = rules.evaluate(rules.add_records(taken), self._listening(int(taken.ts[-1])))
        last = _last_rows(taken)
        for at in np.unique(taken.ts[last]).tolist():
            rules.hear(taken.device[last[taken.ts[last] == at]], self._listening(at))
        return changes

    def _listening(self, at: int) -> int:
        return self._fold.moment(at).listening

    def _row_of(self, change: Transition, frame: Frame) -> int:
        """Return the row of the reading that caused a change."""
        device = self._fold.pipeline.registry.find(change.subject)
        return int(np.argmax((frame.device == device) & (frame.seq == change.seq)))

    def _pass_time(self, at: int) -> None:
        rules, moment = self._fold.pipeline.rules, self._fold.moment(at)
        rules.begin(self._fold.next_number())
        self._fold.transitions += rules.tick(moment.listening, moment.wall)

    @property
    def _any_alert_active(self) -> bool:
        """Whether an alert waits, fires, or is about to end."""
        state = self._fold.pipeline.rules.state
        return bool(state.active) or bool(len(state.cells.all_busy()))


class MissedMetrics:
    """When each metric of a device that a rule watches is missed, unless it is heard before."""

    def __init__(self, rules: RuleSet) -> None:
        self._after: dict[str, set[int]] = {}
        for rule in rules.rules:
            if rule.no_data:
                self._after.setdefault(rule.no_data.metric, set()).add(rule.no_data.after_ms)
        self._due: dict[tuple[str, str, int], int] = {}
        self._next = _NEVER

    def heard(self, device: str, metrics: Iterable[str], at: int) -> None:
        for metric in metrics:
            for after in self._after.get(metric, ()):
                self._due[device, metric, after] = at + after
                self._next = min(self._next, at + after)

    def missed(self, at: int) -> bool:
        """Return whether a metric was missed since the last call and before `at`, ms."""
        if at <= self._next:
            return False
        over = [key for key, due in self._due.items() if due < at]
        for key in over:
            del self._due[key]
        self._next = min(self._due.values(), default=_NEVER)
        return bool(over)


def _last_rows(frame: Frame) -> IntColumn:
    """Return the last row of each device, which is when it was last heard."""
    _, from_end = np.unique(frame.device[::-1], return_index=True)
    return np.asarray(frame.rows - 1 - from_end)


def _birth(facts: DeviceFacts) -> bytes:
    metrics = {name: MetricInfo(unit=unit) for name, unit in facts.units.items()}
    return encode_birth(Birth(type=facts.type, tags=facts.tags, metrics=metrics, boot=BOOT))


def by_time(samples: Sequence[Sample]) -> Iterator[list[Sample]]:
    """Yield samples of one time stamp together; they must be in the order of time."""
    same: list[Sample] = []
    for sample in samples:
        if same and sample.ts != same[0].ts:
            yield same
            same = []
        same.append(sample)
    if same:
        yield same
