"""A small scenario around the metrics under test, and a run of it sample by sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fleet_config.yaml_source import parse_yaml
from fleet_sim.scenario.loading import read_scenario
from fleet_sim.scenario.planning import plan_devices, plan_faults
from fleet_sim.signals.group import GroupSignals

if TYPE_CHECKING:
    from fleet_sim.scenario.loading import Scenario

START = 1_767_225_600_000  # 2026-01-01, a Thursday
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def scenario(metrics: str, *, count: int = 20, faults: str = "", more: str = "") -> Scenario:
    text = (
        "version: 1\nname: test\nseed: 42\nfleet:\n  group:\n"
        f"    count: {count}\n    id: 'dev-{{i:05d}}'\n    site: [berlin, lyon]\n"
        f"    interval: {{every: 1s, jitter: 10%}}\n{more}    metrics:\n"
        + "".join(f"      {line}\n" for line in metrics.strip().split("\n"))
        + ("faults:\n" + faults if faults else "")
    )
    return read_scenario(parse_yaml(text, "test.yaml"), overrides=[], env={})


class Run:
    """Devices of one scenario; `only` are the numbers of those that are sampled."""

    def __init__(self, made: Scenario, only: list[int] | None = None, seed: int | None = None) -> None:
        everybody = plan_devices(made)
        plans = [everybody[i] for i in (range(len(everybody)) if only is None else only)]
        self.seed = made.seed if seed is None else seed
        self.ids = [plan.id for plan in plans]
        self.signals = GroupSignals(
            made.fleet["group"].metrics,
            plans,
            seed=self.seed,
            start_ms=START,
            faults=plan_faults(made, plans),
        )

    def at(self, ms: int, *, tick: int | None = None, rows: list[int] | None = None) -> list[dict[str, Any]]:
        chosen = np.arange(len(self.ids)) if rows is None else np.array(rows)
        ticks = np.full(len(chosen), ms // 1000 if tick is None else tick)
        return self.signals.sample(chosen, ticks, np.full(len(chosen), START + ms)).messages()

    def column(self, metric: str, times: range, row: int = 0) -> list[Any]:
        return [self.at(ms)[row].get(metric) for ms in times]
