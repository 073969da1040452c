"""The gateway's fold without its effects: messages and time in, transitions of alerts out.

Nothing is acknowledged, published, commanded or stored. The clock is that of the data: the wall clock and the listening
clock follow the times at which readings were measured, as if each had arrived at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from edge_gateway.fold.settings import FoldSettings, build_pipeline
from edge_gateway.records.inputs import Batch, Moment, Reload, Tick, runs
from edge_gateway.rules.language.ruleset import RuleSet
from fleet_wire.topics import ANY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_gateway.fold.pipeline import Pipeline
    from edge_gateway.records.alerts import Transition

__all__ = ["DryFold", "dry_settings"]

MOST: Final = 1 << 31
"""Devices, series and texts that a dry fold takes in: those of the data."""
_NEVER: Final = 1 << 60


def dry_settings(settings: FoldSettings) -> FoldSettings:
    """Return a gateway's settings for data of any age and of any site, with the fewest windows: no rule reads them."""
    return msgspec.structs.replace(
        settings,
        every=settings.every[-1:],
        p95=(),
        earliest=0,
        max_reading_age=_NEVER,
        mode="dry_run",
        devices=MOST,
        series=MOST,
        strings=MOST,
        device_series=MOST,
        device_strings=MOST,
        retire_after=_NEVER,
        sites=(ANY,),
    )


class DryFold:
    """A fold of its own with these rules. `transitions`: all so far, in the order in which they occurred."""

    def __init__(self, settings: FoldSettings, rules: RuleSet, wall_ms: int) -> None:
        """Start at `wall_ms`, the time of the first input, at which the rules are loaded."""
        self._pipeline: Pipeline = build_pipeline("backtest", settings)
        self._start = wall_ms
        self._number = 0
        self.transitions: list[Transition] = []
        self._fold(Reload(self.moment(wall_ms), rules.to_plain()))

    @property
    def pipeline(self) -> Pipeline:
        """The fold itself, for those who look."""
        return self._pipeline

    def deliver(self, topics: Sequence[str], payloads: Sequence[bytes], at: int) -> None:
        """Take in messages that arrive at `at`, wall ms."""
        for run in runs(topics):
            self._fold(Batch(self.moment(at), list(topics[run]), list(payloads[run])))

    def pass_time(self, at: int) -> None:
        """Let time pass up to `at`, wall ms."""
        self._fold(Tick(self.moment(at)))

    def _fold(self, given: Batch | Tick | Reload) -> None:
        self.transitions += self._pipeline.fold(given, number=self.next_number()).alerts

    def next_number(self) -> int:
        """Return the number of the next input: ids of alerts follow from it."""
        self._number += 1
        return self._number

    def moment(self, at: int) -> Moment:
        """Return the moment of a wall time, ms, which the listening clock has followed since the start."""
        passed = at - self._start
        return Moment(at, passed, monotonic=passed)
