"""Read InfluxDB with plain Flux over plain HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from tests.integration.recorded import Key, Window
from tests.servers.influx import Influx

NUMBERS = ("sum", "mean", "min", "max", "first", "last", "quality")


def points(influx: Influx, bucket: str, measurement: str) -> list[dict[str, str]]:
    """Every point of a measurement: its tags and fields as text, `at` its time in ms."""
    rows = influx.query(
        f"from(bucket: {json.dumps(bucket)}) |> range(start: 1970-01-02T00:00:00Z, stop: 2200-01-01T00:00:00Z)"
        f" |> filter(fn: (r) => r._measurement == {json.dumps(measurement)})"
        ' |> drop(columns: ["_start", "_stop", "_measurement"])'
        ' |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
    )
    return [{"at": str(_ms(row.pop("_time"))), **row} for row in rows]


def _ms(text: str) -> int:
    return (datetime.fromisoformat(text) - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)


def stored_windows(influx: Influx, bucket: str) -> dict[Key, Window]:
    """Every window of numbers in a bucket; a point that comes twice is an error."""
    found: dict[Key, Window] = {}
    for row in points(influx, bucket, "sensor"):
        key = Key(row["device"], row["metric"], int(row["at"]))
        assert key not in found, key
        found[key] = Window(int(row["count"]), *(float(row[name]) for name in NUMBERS))
    return found


def differences(found: dict[Key, Window], expected: dict[Key, Window]) -> list[str]:
    """Describe the first few differences: missing, unexpected or different windows."""
    keys = sorted(found.keys() ^ expected.keys()) + sorted(
        key for key in found.keys() & expected.keys() if found[key] != expected[key]
    )
    return [f"{key}: expected {expected.get(key)}, found {found.get(key)}" for key in keys[:5]]
