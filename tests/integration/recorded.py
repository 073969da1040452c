"""The content of public recordings, read without any parser, mapping or arithmetic of the project."""

from __future__ import annotations

import csv
import math
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

SHARED = Path(os.environ.get("RECORDINGS") or Path(__file__).parents[3] / "shared" / "data")
AIR_FILE = SHARED / "uci_air_quality" / "AirQualityUCI.csv"
WATER_FILE = SHARED / "ea_water_quality" / "ea_yorkshire_rivers_12sites_2018_2022.csv"

AIR_COLUMNS = (
    *("co_gt", "pt08_s1_co", "nmhc_gt", "c6h6_gt", "pt08_s2_nmhc", "nox_gt", "pt08_s3_nox"),
    *("no2_gt", "pt08_s4_no2", "pt08_s5_o3", "t", "rh", "ah"),
)
AIR_RANGES = {
    "co_gt": (0.0, 50.0),
    "nox_gt": (0.0, 1000.0),
    "c6h6_gt": (0.0, 100.0),
    "t": (-20.0, 50.0),
    "rh": (0.0, 100.0),
}
MISSING = -200.0
WATER_METRICS = {
    "Ammonia(N)": "ammonia_n",
    "BOD ATU": "bod_atu",
    "Cond @ 25C": "cond_25c",
    "Nitrate-N": "nitrate_n",
    "O Diss %sat": "o_diss_sat",
    "Orthophospht": "orthophospht",
    "Oxygen Diss": "oxygen_diss",
    "Sld Sus@105C": "sld_sus_105c",
    "Temp Water": "temp_water",
    "TurbidityNTU": "turbidityntu",
    "pH": "ph",
}


class Reading(NamedTuple):
    """One value of a file: time in ms since 1970 UTC, `quality` 1 unless the value is in doubt."""

    device: str
    metric: str
    at: int
    value: float
    quality: float = 1.0


class Key(NamedTuple):
    """A window of a series, by its start in ms."""

    device: str
    metric: str
    start: int


@dataclass(frozen=True)
class Window:
    """The values a stored window must have."""

    count: int
    sum: float
    mean: float
    min: float
    max: float
    first: float
    last: float
    quality: float


class Episode(NamedTuple):
    """A time above a limit: the value and time of its beginning, and the time of its end."""

    device: str
    metric: str
    value: float
    fired: int
    resolved: int | None


# --- files


def air_readings(path: Path) -> list[Reading]:
    """Return every number of an air quality recording, codes for missing included; its times are read as UTC."""
    found = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in list(csv.reader(file, delimiter=";"))[1:]:
            if not row or not row[0]:
                continue
            day, month, year = map(int, row[0].split("/"))
            hour, minute, second = map(int, row[1].split("."))
            at = _ms(datetime(year, month, day, hour, minute, second, tzinfo=UTC))
            for metric, text in zip(AIR_COLUMNS, row[2:15], strict=True):
                if text:
                    found.append(
                        Reading("uci-air", metric, at, float(text.replace(".", "").replace(",", ".")))
                    )
    return found


def air_counts(reading: Reading) -> bool:
    """Whether a value of the recording is neither missing nor out of its accepted range."""
    low, high = AIR_RANGES.get(reading.metric, (-math.inf, math.inf))
    return reading.value != MISSING and low <= reading.value <= high


def water_readings(path: Path) -> list[Reading]:
    """Every value of a water quality recording; one that is censored is its limit at half the quality."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    at = {name: place for place, name in enumerate(header)}
    return [
        Reading(
            row[at["sample.samplingPoint.notation"]],
            WATER_METRICS[row[at["determinand.label"]]],
            london(row[at["sample.sampleDateTime"]]),
            float(row[at["result"]]),
            0.5 if row[at["resultQualifier.notation"]] in {"<", ">"} else 1.0,
        )
        for row in rows
    ]


def london(text: str) -> int:
    """British local time as ms: an hour ahead from the last Sunday of March, 1 h, to that of October, 1 h UTC."""
    as_utc = datetime.fromisoformat(text).replace(tzinfo=UTC)
    begin, end = (
        _last_sunday(as_utc.year, month) + timedelta(hours=hour) for month, hour in ((3, 2), (10, 2))
    )
    return _ms(as_utc - timedelta(hours=1) if begin <= as_utc < end else as_utc)


def _last_sunday(year: int, month: int) -> datetime:
    last = datetime(year, month, 31, tzinfo=UTC)
    return last - timedelta(days=(last.weekday() + 1) % 7)


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


# --- the windows and episodes they imply


def windows_of(readings: Iterable[Reading], every: int) -> dict[Key, Window]:
    """The windows of readings that all count."""
    parts: dict[Key, list[Reading]] = defaultdict(list)
    for reading in readings:
        parts[Key(reading.device, reading.metric, reading.at - reading.at % every)].append(reading)
    return {key: _window(inside) for key, inside in parts.items()}


def _window(inside: Sequence[Reading]) -> Window:
    values = [reading.value for reading in inside]
    ends = sorted((reading.at, reading.value) for reading in inside)
    total = math.fsum(values)
    quality = sum(round(1000 * reading.quality) for reading in inside) / (1000 * len(values))
    return Window(
        *(len(values), total, total / len(values), min(values), max(values)),
        *(ends[0][1], ends[-1][1], quality),
    )


def over(readings: Iterable[Reading], base: int, every: int) -> set[Key]:
    """Windows that are over once the device is silent: those within its last base window, or before."""
    reached: dict[str, int] = {}
    keys = set()
    for reading in readings:
        end = reading.at - reading.at % base + base
        reached[reading.device] = max(reached.get(reading.device, 0), end)
        keys.add(Key(reading.device, reading.metric, reading.at - reading.at % every))
    return {key for key in keys if key.start + every <= reached[key.device]}


def episodes(readings: Iterable[Reading], limits: Mapping[str, float]) -> list[Episode]:
    """Each time a metric of a device rose above its limit, until it was seen at or below it again.

    Values of one time count in the order of the file; a change at the time of the last one is told 1 ms after it.
    """
    series: dict[tuple[str, str], list[Reading]] = defaultdict(list)
    for reading in readings:
        if reading.metric in limits:
            series[reading.device, reading.metric].append(reading)
    return sorted(
        episode
        for (_, metric), inside in series.items()
        for episode in _episodes(sorted(inside, key=lambda reading: reading.at), limits[metric])
    )


def _episodes(inside: Sequence[Reading], limit: float) -> list[Episode]:
    found: list[Episode] = []
    begun: Reading | None = None
    last = 0
    for reading in inside:
        told = reading._replace(at=max(reading.at, last + 1))
        if begun is None and reading.value > limit:
            begun, last = told, told.at
        elif begun is not None and reading.value <= limit:
            found.append(Episode(begun.device, begun.metric, begun.value, begun.at, told.at))
            begun, last = None, told.at
    if begun is not None:
        found.append(Episode(begun.device, begun.metric, begun.value, begun.at, None))
    return found
