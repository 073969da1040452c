"""The weather of a site: the same for all its devices, whichever of them asks, in whatever process.

A temperate place in plain figures: seasons, days, and slow change. A function of (seed, site, time).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fleet_sim.signals.elementary import sine
from fleet_sim.signals.moment import SlowNoise
from fleet_sim.signals.timed import DAY_MS, HOUR_MS, time_of_day

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleet_sim.noise import F8
    from fleet_sim.signals.models import Weather
    from fleet_sim.signals.moment import Devices, Moment

_YEAR_DAYS = 365.2425
_WARMEST_DAY = 200  # of the year
_WARMEST_HOUR = 15


class SiteWeather:
    """Temperature °C, humidity %, pressure hPa, wind m/s at the devices' sites."""

    def __init__(self, devices: Devices) -> None:
        self._warm = SlowNoise(devices.site_keys, "weather/temperature", 18 * HOUR_MS)
        self._moist = SlowNoise(devices.site_keys, "weather/humidity", 9 * HOUR_MS)
        self._high = SlowNoise(devices.site_keys, "weather/pressure", 30 * HOUR_MS)
        self._windy = SlowNoise(devices.site_keys, "weather/wind", 2 * HOUR_MS)

    def temperature(self, now: Moment) -> F8:
        season = sine((now.at_ms / DAY_MS - _WARMEST_DAY) / _YEAR_DAYS + 0.25)
        return 11.0 + 8.0 * season + self._day(now) + 3.0 * self._warm.at(now.rows, now.at_ms)

    def humidity(self, now: Moment) -> F8:
        moist = 72.0 - 3.0 * self._day(now) + 9.0 * self._moist.at(now.rows, now.at_ms)
        return np.clip(moist, 15.0, 100.0)

    def pressure(self, now: Moment) -> F8:
        return 1014.0 + 9.0 * self._high.at(now.rows, now.at_ms)

    def wind(self, now: Moment) -> F8:
        return np.maximum(3.5 + 0.4 * self._day(now) + 2.0 * self._windy.at(now.rows, now.at_ms), 0.0)

    def _day(self, now: Moment) -> F8:
        return 4.0 * time_of_day(now.at_ms, _WARMEST_HOUR * HOUR_MS)


class WeatherSignal:
    """One quantity of the site's weather, as a metric."""

    def __init__(self, model: Weather, devices: Devices, name: str) -> None:
        self._quantity = getattr(SiteWeather(devices), model.of)
        self._offset = devices.spread(model.offset, f"{name}/offset")
        self.settings: Mapping[str, F8] = {}

    def sample(self, now: Moment) -> F8:
        value: F8 = self._quantity(now) + self._offset[now.rows]
        return value
