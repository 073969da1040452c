"""A test bench for rules: the gateway's registry and evaluator, a simulated fleet, and a clock set by the test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edge_gateway.columns.frame import PERFECT, Frame
from edge_gateway.fleet.limits import Refusal
from edge_gateway.fleet.registry import Registry
from edge_gateway.records import codec
from edge_gateway.rules.alerts.evaluator import Evaluator
from edge_gateway.rules.alerts.rule_state import Instant
from edge_gateway.rules.language.ruleset import RuleSet
from fleet_wire.control_messages import Birth

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_gateway.records.alerts import Transition

START: Final = 1_767_225_600_000
"""Device time of 0s in a test: the start of 2026."""

FIRST_BOOT: Final = 1


@dataclass(frozen=True, slots=True)
class SentReading:
    """One reading of a device, measured `at` ms from the start of the test."""

    device: str
    boot: int
    at: int
    seq: int
    values: Mapping[str, float | str]


@dataclass(slots=True)
class Bench:
    """`transitions` so far, the last `values` by (device, metric), recorded ones too, and the `newest` readings."""

    evaluator: Evaluator
    registry: Registry
    transitions: list[Transition] = field(default_factory=list)
    values: dict[tuple[str, str], float] = field(default_factory=dict)
    newest: dict[str, SentReading] = field(default_factory=dict)
    _boot: dict[str, int] = field(default_factory=dict)
    _seq: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, rules: RuleSet, devices: Mapping[str, Mapping[str, str]]) -> Bench:
        """A bench whose devices are born and have sent nothing. A device maps site, type and tags."""
        registry = Registry()
        for name, about in devices.items():
            device = registry.device(about.get("site", "site"), name)
            assert not isinstance(device, Refusal), device
            tags = {key: value for key, value in about.items() if key not in ("site", "type")}
            registry.birth(device, Birth(type=about.get("type", "unknown"), boot=FIRST_BOOT, tags=tags), 0)
        return cls(Evaluator(rules, registry), registry)

    def send(
        self, at: int, device: str, values: Mapping[str, float | str], *, measured_at: int | None = None
    ) -> None:
        """Send a new reading at `at`; `measured_at` is its device time if it is late."""
        seq = self._seq[device] = self._seq.get(device, -1) + 1
        taken = at if measured_at is None else measured_at
        reading = SentReading(device, self._boot.get(device, FIRST_BOOT), taken, seq, values)
        if measured_at is None:
            self.newest[device] = reading
        self._deliver(reading, at)

    def repeat_newest(self, device: str, at: int) -> None:
        """Deliver a device's newest reading once more, if it has sent any."""
        if device in self.newest:
            self._deliver(self.newest[device], at)

    def leave(self, device: str, at: int) -> None:
        """Let the broker publish a device's will: it is offline until it sends again."""
        self.evaluator.gone(self._number(device), at)

    def reboot(self, device: str, at: int) -> None:
        """Let a device send the birth of its next boot. What it kept of the last one is not repeated."""
        boot = self._boot[device] = self._boot.get(device, FIRST_BOOT) + 1
        self._seq.pop(device, None)
        self.newest.pop(device, None)
        self.evaluator.birth(self._number(device), (), boot, at)

    def _number(self, device: str) -> int:
        number = self.registry.find(device)
        assert number is not None
        return number

    def _deliver(self, reading: SentReading, at: int) -> None:
        frame = self.evaluator.add_records(self._frame(reading, at))
        for series, value in zip(frame.series.tolist(), frame.value.tolist(), strict=True):
            metric = self.registry.metric_names[int(self.registry.series_metric[series])]
            self.values[reading.device, metric] = value
        self.transitions += self.evaluator.evaluate(frame, at)

    def pass_time(self, at: int) -> None:
        self.transitions += self.evaluator.tick(at, START + at)

    def restart(self) -> None:
        """Restore the evaluator from the bytes of its snapshot, as after a crash."""
        state = codec.decode(codec.encode(self.evaluator.snapshot()))
        self.evaluator = Evaluator(RuleSet.empty(), self.registry)
        self.evaluator.restore(state)

    def reload(self, rules: RuleSet) -> None:
        listening = self.evaluator.listening
        self.transitions += self.evaluator.reload(rules, Instant(listening, START + listening))

    def _frame(self, reading: SentReading, at: int) -> Frame:
        device = self._number(reading.device)
        numbers = {name: value for name, value in reading.values.items() if not isinstance(value, str)}
        texts = {name: value for name, value in reading.values.items() if isinstance(value, str)}
        ts = _ints([START + reading.at])
        return Frame(
            arrival=START + at,
            device=_ints([device]),
            boot=_ints([reading.boot]),
            seq=_ints([reading.seq]),
            ts=ts,
            at=ts,
            backlog=np.zeros(1, np.bool_),
            row=np.zeros(len(numbers), np.int64),
            series=_ints([self._series(device, name) for name in numbers]),
            value=np.array(list(numbers.values()), np.float64),
            quality=np.full(len(numbers), PERFECT, np.uint16),
            state_row=np.zeros(len(texts), np.int64),
            state_series=_ints([self._series(device, name) for name in texts]),
            state_code=_ints([self.registry.strings.code(text) for text in texts.values()]),
        )

    def _series(self, device: int, metric: str) -> int:
        return self.registry.series(device, self.registry.metric(metric))


def _ints(values: list[int]) -> Any:
    return np.array(values, np.int64)
