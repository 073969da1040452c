"""What a metric holds, numbers or texts, where that is declared: in gateway.yaml, or else in the device's birth."""

from collections.abc import Mapping

import msgspec
import numpy as np

from edge_gateway.fleet.series import KIND_NUMBER, KIND_OPEN, KIND_STATE, SeriesTable
from fleet_wire.control import Birth, MetricInfo

KINDS = {"number": KIND_NUMBER, "state": KIND_STATE}
_BIRTH = msgspec.msgpack.Decoder(Birth)


def kind_of(info: MetricInfo) -> int:
    """Return the kind a birth declares for a metric: in so many words, or by what only a number has."""
    if info.kind is not None:
        return KINDS[info.kind]
    of_numbers = (info.min, info.max, info.warning, info.critical)
    return KIND_NUMBER if info.unit or any(one is not None for one in of_numbers) else KIND_OPEN


def _declared(metrics: Mapping[str, MetricInfo]) -> dict[str, int]:
    kinds = {name: kind_of(info) for name, info in metrics.items()}
    return {name: kind for name, kind in kinds.items() if kind != KIND_OPEN}


class Kinds:
    """Declared kinds. `configured` are those of gateway.yaml, by metric: they win."""

    def __init__(self, configured: Mapping[str, int]) -> None:
        self._configured = dict(configured)
        self._read: tuple[bytes, dict[str, int]] = (b"", {})
        """The birth that was looked at last, and what it declares: a message asks for many metrics at once."""

    def of(self, metric: str, birth: bytes | None) -> int:
        """Return the kind of a metric of a device with this birth; KIND_OPEN where it is not declared."""
        configured = self._configured.get(metric)
        if configured is not None:
            return configured
        return KIND_OPEN if birth is None else self._of_birth(birth).get(metric, KIND_OPEN)

    def _of_birth(self, birth: bytes) -> dict[str, int]:
        if self._read[0] != birth:
            self._read = birth, _declared(_BIRTH.decode(birth).metrics)
        return self._read[1]

    def declare(self, table: SeriesTable, device: int, metrics: Mapping[str, MetricInfo]) -> None:
        """Take in what a birth says the device's metrics hold."""
        for metric, kind in _declared(metrics).items():
            if metric not in self._configured:
                table.declare(device, metric, kind)

    def heed(self, table: SeriesTable) -> None:
        """Let all series hold what gateway.yaml says.

        Under an unchanged gateway.yaml nothing happens, however full shares are: a replay must come to the same.
        """
        for metric, kind in self._configured.items():
            number = table.known_metric(metric)
            for device in () if number is None else table.devices_of(number).tolist():
                table.declare(device, metric, kind, whatever_room=True)

    def guess_anew(self, table: SeriesTable, device: int, birth: bytes | None) -> None:
        """Let the next good values say what the metrics of a device hold, where it is not declared."""
        names, metrics = table.metric_names, table.metric_of
        series = table.of_device(device).tolist()
        guessed = [one for one in series if self.of(names[metrics[one]], birth) == KIND_OPEN]
        table.begin_anew(np.array(guessed, np.int64))
