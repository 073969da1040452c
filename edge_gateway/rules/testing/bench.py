"""A small fleet on a stage, for rule tests: the gateway's own registry and evaluator, and a clock that is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edge_gateway.columns.frame import PERFECT, Frame
from edge_gateway.fleet.limits import Refusal
from edge_gateway.fleet.registry import Registry
from edge_gateway.records import codec
from edge_gateway.rules.alerts.evaluator import Evaluator
from edge_gateway.rules.language.ruleset import RuleSet
from fleet_wire.control_messages import Birth

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_gateway.records.transition import Transition

START: Final = 1_767_225_600_000
"""Device time of a test's 0s: the start of 2026."""

BOOT: Final = 1


@dataclass(frozen=True, slots=True)
class SentReading:
    """One reading of a device. `at` in ms from the start of the test."""

    device: str
    at: int
    seq: int
    values: Mapping[str, float | str]


@dataclass(slots=True)
class Bench:
    """What was told so far, and the last values of every metric, derived ones too."""

    evaluator: Evaluator
    registry: Registry
    told: list[Transition] = field(default_factory=list)
    values: dict[tuple[str, str], float] = field(default_factory=dict)
    newest: dict[str, SentReading] = field(default_factory=dict)
    _seq: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, rules: RuleSet, devices: Mapping[str, Mapping[str, str]]) -> Bench:
        """A fleet that was born and has sent nothing. Devices are maps of site, type and tags."""
        registry = Registry()
        for name, about in devices.items():
            device = registry.device(about.get("site", "site"), name)
            assert not isinstance(device, Refusal), device
            tags = {key: value for key, value in about.items() if key not in ("site", "type")}
            registry.birth(device, Birth(type=about.get("type", "unknown"), boot=BOOT, tags=tags), 0)
        return cls(Evaluator(rules, registry), registry)

    def send(
        self, at: int, device: str, values: Mapping[str, float | str], *, stamped: int | None = None
    ) -> None:
        """A new message of a device; `stamped` is its device time where that is not now."""
        seq = self._seq[device] = self._seq.get(device, -1) + 1
        message = SentReading(device, at if stamped is None else stamped, seq, values)
        if stamped is None:
            self.newest[device] = message
        self.deliver(message, at)

    def deliver(self, message: SentReading, at: int) -> None:
        frame = self.evaluator.add_records(self._frame(message, at))
        for series, value in zip(frame.series.tolist(), frame.value.tolist(), strict=True):
            metric = self.registry.metric_names[int(self.registry.series_metric[series])]
            self.values[message.device, metric] = value
        self.told += self.evaluator.evaluate(frame, at)

    def pass_time(self, at: int) -> None:
        self.told += self.evaluator.tick(at)

    def restart(self) -> None:
        """Through bytes and back, as after a crash."""
        state = codec.decode(codec.encode(self.evaluator.snapshot()))
        self.evaluator = Evaluator(RuleSet.empty(), self.registry)
        self.evaluator.restore(state)

    def reload(self, rules: RuleSet) -> None:
        self.told += self.evaluator.reload(rules)

    def _frame(self, message: SentReading, at: int) -> Frame:
        device = self.registry.find(message.device)
        assert device is not None
        numbers = {name: value for name, value in message.values.items() if not isinstance(value, str)}
        texts = {name: value for name, value in message.values.items() if isinstance(value, str)}
        return Frame(
            arrival=START + at,
            device=_ints([device]),
            boot=_ints([BOOT]),
            seq=_ints([message.seq]),
            ts=_ints([START + message.at]),
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
