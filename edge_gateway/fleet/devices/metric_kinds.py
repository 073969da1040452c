"""Declared kinds of metrics, numbers or texts: from gateway.yaml, else from the device's birth."""

from collections.abc import Mapping

import numpy as np

from edge_gateway.fleet.devices.births import BirthFacts
from edge_gateway.fleet.devices.series import KIND_NUMBER, KIND_OPEN, KIND_STATE, SeriesTable

KINDS = {"number": KIND_NUMBER, "state": KIND_STATE}


class MetricKinds:
    """Declared kinds; `configured` are those of gateway.yaml by metric, which take precedence."""

    def __init__(self, configured: Mapping[str, int]) -> None:
        self._configured = dict(configured)

    def of(self, metric: str, facts: BirthFacts | None) -> int:
        """Return the declared kind of a metric of a device with this birth; KIND_OPEN if nothing declares it."""
        configured = self._configured.get(metric)
        if configured is not None or facts is None:
            return KIND_OPEN if configured is None else configured
        declared = facts.kinds.get(metric)
        if declared is not None:
            return KINDS[declared]
        return KIND_NUMBER if metric in facts.units else KIND_OPEN

    def declare(self, table: SeriesTable, device: int, facts: BirthFacts) -> None:
        """Apply the kinds a birth declares to the device's series."""
        for metric in dict.fromkeys((*facts.units, *facts.kinds)):
            if metric not in self._configured:
                table.declare(device, metric, self.of(metric, facts))

    def apply_configured(self, table: SeriesTable) -> None:
        """Apply the kinds of gateway.yaml to all series.

        This ignores limits, and changes nothing if gateway.yaml is unchanged: a replay must reach the same state.
        """
        for metric, kind in self._configured.items():
            number = table.known_metric(metric)
            for device in () if number is None else table.devices_of(number).tolist():
                table.declare(device, metric, kind, ignore_limits=True)

    def reopen_kinds(self, table: SeriesTable, device: int, facts: BirthFacts | None) -> None:
        """Let the next good values of a device decide again the kinds that nothing declares."""
        names, metrics = table.metric_names, table.metric_of
        series = table.of_device(device).tolist()
        guessed = [one for one in series if self.of(names[metrics[one]], facts) == KIND_OPEN]
        table.reopen(np.array(guessed, np.int64))
