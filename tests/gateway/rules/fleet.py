"""A fleet for rules to run over: the gateway's own registry, and frames from plain readings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge_gateway.columns.frame import Frame
from edge_gateway.fleet.limits import Refusal
from edge_gateway.fleet.registry import Registry
from edge_gateway.records import codec
from edge_gateway.records.alerts import Transition
from edge_gateway.rules.alerts.evaluator import Evaluator
from edge_gateway.rules.alerts.rule_state import RuleState
from edge_gateway.rules.language.ruleset import Rule, RuleSet
from fleet_wire.control_messages import Birth, MetricInfo

T0 = 1_767_225_600_000
"""The start of 2026; tests count from here."""


@dataclass
class Row:
    """One reading of a device: numbers and texts by metric."""

    device: str
    at: int
    values: Mapping[str, float | str] = field(default_factory=dict)
    backlog: bool = False
    site: str = "berlin"


class Fleet:
    def __init__(self) -> None:
        self.registry = Registry()
        self._seq = 0

    def device(self, name: str, site: str = "berlin") -> int:
        device = self.registry.device(site, name)
        assert not isinstance(device, Refusal)
        return device

    def born(
        self,
        name: str,
        site: str = "berlin",
        kind: str = "freezer",
        units: dict[str, str] | None = None,
        **tags: str,
    ) -> int:
        device = self.device(name, site)
        metrics = {metric: MetricInfo(unit=unit) for metric, unit in (units or {}).items()}
        self.registry.birth(device, Birth(type=kind, boot=1, tags=tags, metrics=metrics), 0)
        return device

    def frame(self, rows: list[Row]) -> Frame:
        numbers: list[tuple[int, int, float]] = []
        states: list[tuple[int, int, int]] = []
        devices = [self.device(row.device, row.site) for row in rows]
        for place, row in enumerate(rows):
            for metric, value in row.values.items():
                series = self.registry.series(devices[place], self.registry.metric(metric))
                if isinstance(value, str):
                    states.append((place, series, self.registry.strings.code(value)))
                else:
                    numbers.append((place, series, float(value)))
        first, self._seq = self._seq, self._seq + len(rows)
        ts = np.array([row.at for row in rows], np.int64)
        return Frame(
            arrival=max((row.at for row in rows), default=0),
            device=np.array(devices, np.int64),
            boot=np.ones(len(rows), np.int64),
            seq=np.arange(first, self._seq),
            ts=ts,
            at=ts,
            backlog=np.array([row.backlog for row in rows], np.bool_),
            row=_column(numbers, 0, np.int64),
            series=_column(numbers, 1, np.int64),
            value=_column(numbers, 2, np.float64),
            quality=np.full(len(numbers), 1000, np.uint16),
            state_row=_column(states, 0, np.int64),
            state_series=_column(states, 1, np.int64),
            state_code=_column(states, 2, np.int64),
        )


class Stage:
    """An evaluator over a fleet, fed one row at a time; times in seconds."""

    def __init__(self, *rules: Rule) -> None:
        self.fleet = Fleet()
        self.evaluator = Evaluator(RuleSet(rules), self.fleet.registry)
        self.records = 0

    @property
    def state(self) -> RuleState:
        return self.evaluator._state

    def begin(self) -> None:
        """Begin the next record, as each input does."""
        self.records += 1
        self.evaluator.begin(self.records)

    def read(
        self, second: float, device: str = "d", *, backlog: bool = False, **values: Any
    ) -> list[Transition]:
        self.begin()
        row = Row(device, T0 + int(second * 1000), values, backlog=backlog)
        frame = self.evaluator.add_records(self.fleet.frame([row]))
        return self.evaluator.evaluate(frame, int(second * 1000))

    def read_at(
        self, second: float, device: str, site: str, values: Mapping[str, float | str]
    ) -> list[Transition]:
        """As `read`, of a device at another site."""
        row = Row(device, T0 + int(second * 1000), values, site=site)
        frame = self.evaluator.add_records(self.fleet.frame([row]))
        return self.evaluator.evaluate(frame, int(second * 1000))

    def hear(self, second: float) -> None:
        """Hear every device, without knowing yet what it says."""
        self.evaluator.hear(np.arange(self.fleet.registry.devices), int(second * 1000))

    def restart(self) -> None:
        """Go on from a snapshot, in the form in which a checkpoint holds it."""
        saved = codec.decode(codec.encode(self.evaluator.snapshot()))
        self.evaluator = Evaluator(RuleSet.empty(), self.fleet.registry)
        self.evaluator.restore(saved)

    def tick(self, second: float) -> list[Transition]:
        self.begin()
        return self.evaluator.tick(int(second * 1000), T0 + int(second * 1000))


def happened(transitions: list[Transition]) -> list[str]:
    return [f"{each.event} {each.cause}" for each in transitions]


def events(transitions: list[Transition]) -> list[str]:
    return [each.event for each in transitions]


def _column(items: list[Any], place: int, dtype: Any) -> Any:
    return np.array([item[place] for item in items], dtype)
