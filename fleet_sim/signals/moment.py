"""What a signal model gets: the devices it is for, and the moment of one call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from fleet_sim.noise import F8, I8, U8, Stream, counted, mixed_keys, normal_of, unit

if TYPE_CHECKING:
    from collections.abc import Mapping

BOOL = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Devices:
    """The devices of a group as columns: a key each, and the key of the site each stands at; `rows` by id.

    `start_ms` is when the run starts, ms since 1970.
    """

    rows: Mapping[str, int]
    keys: U8
    site_keys: U8
    start_ms: int

    def __len__(self) -> int:
        return len(self.keys)

    def stream(self, purpose: str) -> Stream:
        """Draws for one purpose."""
        return Stream(self.keys, purpose)

    def spread(self, limits: tuple[float, float], purpose: str) -> F8:
        """f8[devices]: what each device drew between two limits, once."""
        low, high = limits
        if low == high:
            return np.full(len(self), low)
        return low + (high - low) * self.stream(purpose).of_devices()


@dataclass(slots=True)
class Moment:
    """One call for k devices: columns of length k.

    `dt_s` is the time since the device's previous sample (0 at its first), `first` marks those that have none
    (None: nobody). `raw` holds what the metrics computed so far truly are, before noise and faults; `noise` what
    the sensors of those that have noise add.
    """

    rows: I8
    ticks: I8
    at_ms: I8
    elapsed_s: F8
    dt_s: F8
    first: BOOL | None
    raw: dict[str, F8] = field(default_factory=dict)
    noise: Mapping[str, F8] = field(default_factory=dict)


class Signal(Protocol):
    """One metric of all devices of a group. `settings` are the columns that commands move."""

    settings: Mapping[str, F8]

    def sample(self, now: Moment) -> F8:
        """f8[k]: the true values; state is kept per device and moves on by `dt_s`."""
        ...


class SensorNoise:
    """The noise of all metrics of a group, drawn in one go: m calls for k numbers cost m times one for m * k."""

    def __init__(self, deviations: Mapping[str, float], devices: Devices) -> None:
        """`deviations` by metric; those of 0 are left out."""
        self._names = [name for name, deviation in deviations.items() if deviation > 0]
        self._keys = np.array([mixed_keys(devices.keys, f"{name}/noise") for name in self._names])
        self._deviations = np.array([[deviations[name]] for name in self._names])

    def at(self, rows: I8, ticks: I8) -> dict[str, F8]:
        """f8[k] a metric."""
        if not self._names:
            return {}
        draws = self._deviations * normal_of(unit(counted(self._keys[:, rows], ticks)))
        return dict(zip(self._names, draws, strict=True))


class SlowNoise:
    """Smooth random change: normal draws at knots in time, blended between; mean 0, deviation about 0.8."""

    def __init__(self, keys: U8, purpose: str, every_ms: int) -> None:
        """`keys` are per device, or per site for what a site shares."""
        self._keys = mixed_keys(keys, purpose)
        self._every = every_ms
        self._offset = (unit(counted(self._keys, np.full(len(keys), -1))) * every_ms).astype(np.int64)

    def at(self, rows: I8, at_ms: I8) -> F8:
        """Return f8[k], the noise of each device at a time: a function of device and time alone."""
        keys = self._keys[rows]
        shifted = at_ms + self._offset[rows]
        knot = shifted // self._every
        part = (shifted - knot * self._every) / self._every
        blend = part * part * (3 - 2 * part)
        before = normal_of(unit(counted(keys, knot)))
        after = normal_of(unit(counted(keys, knot + 1)))
        value: F8 = before + (after - before) * blend
        return value
