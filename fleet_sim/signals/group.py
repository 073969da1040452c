"""The signals of one group of devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fleet_sim.noise import device_keys
from fleet_sim.signals.channel import Channel
from fleet_sim.signals.derived import PumpSignal
from fleet_sim.signals.moment import Devices, Moment, SensorNoise

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from fleet_sim.noise import I8
    from fleet_sim.plan import DevicePlan
    from fleet_sim.signals.disturbance import Disturbing
    from fleet_sim.signals.excursion import Episode
    from fleet_sim.signals.metric import Metric
    from fleet_sim.signals.moment import BOOL


class Sample:
    """What k devices measured: a column a metric, in the order of the scenario."""

    __slots__ = ("absent", "columns", "quality")

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self.columns = columns
        self.absent: dict[str, BOOL] = {}
        self.quality: dict[str, list[float]] = {}

    def shapes(self) -> Iterator[list[Any]]:
        """What decides on a message's shape besides its numbers: a column for each word, and for what is absent."""
        yield from (column for column in self.columns.values() if isinstance(column[0], str))
        yield from (absent.tolist() for absent in self.absent.values())

    def take(self, rows: Sequence[int]) -> Sample:
        """Some of the messages."""
        taken = Sample({name: [column[row] for row in rows] for name, column in self.columns.items()})
        taken.absent = {name: absent[list(rows)] for name, absent in self.absent.items()}
        taken.quality = {name: [column[row] for row in rows] for name, column in self.quality.items()}
        return taken

    def messages(self) -> list[dict[str, Any]]:
        """One `m` a message: metric -> value."""
        names = tuple(self.columns)
        rows = [dict(zip(names, row, strict=True)) for row in zip(*self.columns.values(), strict=True)]
        for name, absent in self.absent.items():
            for each in np.flatnonzero(absent).tolist():
                del rows[each][name]
        return rows

    def qualities(self) -> list[dict[str, float] | None]:
        """One `q` a message: metric -> quality, of the metrics that are in the message."""
        count = len(next(iter(self.columns.values())))
        if not self.quality:
            return [None] * count
        names = tuple(self.quality)
        rows = [dict(zip(names, row, strict=True)) for row in zip(*self.quality.values(), strict=True)]
        for name in self.absent.keys() & self.quality.keys():
            for each in np.flatnonzero(self.absent[name]).tolist():
                del rows[each][name]
        return [row or None for row in rows]


class GroupSignals:
    """What the devices of one group measure; see the package for what is promised."""

    def __init__(
        self,
        metrics: Mapping[str, Metric],
        plans: Sequence[DevicePlan],
        *,
        seed: int,
        start_ms: int,
        faults: Iterable[Disturbing] = (),
    ) -> None:
        rows = {plan.id: row for row, plan in enumerate(plans)}
        self._devices = devices = Devices(
            rows,
            device_keys(seed, rows),
            device_keys(seed, [f"site/{plan.site}" for plan in plans]),
            start_ms,
        )
        self._start_ms = start_ms
        self._last_ms = np.full(len(plans), -1, dtype=np.int64)
        self._channels = {name: Channel(name, metric, devices) for name, metric in metrics.items()}
        self._noise = SensorNoise({name: metric.noise for name, metric in metrics.items()}, devices)
        self._order = [self._channels[name] for name in _ordered(metrics)]
        self._connect_pumps()
        for fault in faults:
            self.add_fault(fault)

    def sample(self, rows: I8, ticks: I8, at_ms: I8) -> Sample:
        """What the devices in `rows` (each at most once) measure at their ticks and times."""
        now = self._moment(rows, ticks, at_ms)
        before = self._last_ms[rows]
        self._last_ms[rows] = at_ms
        readings = {channel.name: channel.sample(now) for channel in self._order}
        sample = Sample(
            {name: channel.as_list(readings[name].value) for name, channel in self._channels.items()}
        )
        for name, channel in self._channels.items():
            absent = readings[name].absent
            if channel.every is not None:
                skipped = (at_ms // channel.every == before // channel.every) & (before >= 0)
                absent = skipped if absent is None else absent | skipped
            if absent is not None and absent.any():
                sample.absent[name] = absent
            quality = channel.quality(now)
            if quality is not None:
                sample.quality[name] = quality
        return sample

    def apply_command(self, row: int, setting: str, value: float | str) -> tuple[int, ...]:
        """Move a setting such as `temperature.setpoint` of one device.

        Gives the numbers of the faults that this repaired: those that were on at the device's last sample.
        ValueError says why the device rejects it.
        """
        metric, _, name = setting.partition(".")
        channel = self._channels.get(metric)
        if channel is None:
            raise ValueError(f"the device has no metric '{metric}'")
        return channel.set(row, name, value, int(self._last_ms[row]))

    def add_fault(self, fault: Disturbing) -> None:
        """Let a sensor fault happen; faults of other groups' metrics, of devices and links are ignored."""
        if fault.metric in self._channels:
            self._channels[fault.metric].add(fault.disturbance(self._devices))

    def episodes(self, from_ms: int, until_ms: int) -> list[Episode]:
        """Excursions that begin between two times (ms since 1970), for the ledger; each is given once.

        Those that are on when the run starts are given with its start.
        """
        return [each for channel in self._order for each in channel.episodes(from_ms, until_ms)]

    def _moment(self, rows: I8, ticks: I8, at_ms: I8) -> Moment:
        last = self._last_ms[rows]
        passed = np.maximum(at_ms - last, 0) / 1000
        first: BOOL | None = last < 0
        if first is not None and first.any():
            passed = np.where(first, 0.0, passed)
        else:
            first = None
        elapsed = (at_ms - self._start_ms) / 1000
        noise = self._noise.at(rows, ticks)
        return Moment(rows, ticks, at_ms, elapsed, passed, first, noise=noise)

    def _connect_pumps(self) -> None:
        for channel in self._order:
            signal = channel.signal
            if isinstance(signal, PumpSignal):
                for switch, word in signal.running.items():
                    signal.on_code = float(self._channels[switch].words.index(word))


def _ordered(metrics: Mapping[str, Metric]) -> list[str]:
    """The metrics, each after those it is computed from."""
    ordered: dict[str, None] = {}

    def visit(name: str) -> None:
        for source in metrics[name].sources:
            if source not in ordered:
                visit(source)
        ordered.setdefault(name)

    for name in metrics:
        visit(name)
    return list(ordered)
