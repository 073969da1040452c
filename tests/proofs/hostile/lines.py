"""Write what hostile messages left in the store to a real InfluxDB and read it back: each window must be one point.

Text that line protocol cannot hold is changed as `edge_gateway.store.line_protocol` documents; the change is
implemented here again, so that the two can be compared.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edge_gateway.journal.spool import STORE
from edge_gateway.records.window_block import STATE_ROW, WINDOW_ROW
from edge_gateway.recovery.startup import INFLUX
from tests.proofs.ground.inside import Inside
from tests.proofs.hostile.inside import SECTIONS, PairedGateways
from tests.proofs.proof import Findings, Setting
from tests.servers.influx import Influx
from tests.stored_rows import named_rows

FORWARDED = ("region", "zone")
TEN_YEARS_S = 315_360_000
LABELS = ("device", "metric", "site", "type", *FORWARDED)
FIELDS = ("count", "min", "max", "first", "last")

Point = tuple[int, tuple[str, ...]]
"""Time in ms, and the tags in the order of `LABELS`."""


def write_and_read_back(setting: Setting, count: int) -> None:
    """Send `count` hostile messages to a gateway with a sink, write its lines, and compare."""
    influx = setting.influx()
    buckets = [influx.fresh_bucket(shard_s=TEN_YEARS_S) for _ in SECTIONS["windows"]]
    windows = [{**window, "bucket": name} for window, name in zip(SECTIONS["windows"], buckets, strict=True)]
    section = {"url": influx.url, "org": influx.org, "token": "env:HOME"}
    pair = PairedGateways(
        setting.place("lines"), setting.rng, setting.findings, windows=windows, influx=section
    )
    if not pair.chunk(count):
        return
    pair.judge_good()
    written = _write(setting.findings, influx, pair.gateway)
    for number, bucket in enumerate(buckets):
        _compare(setting.findings, pair.place, number, _points(influx, bucket, "sensor"), _windows)
        _compare(setting.findings, pair.place, number, _points(influx, bucket, "sensor_state"), _states)
    setting.findings.measured["lines written"] = written
    pair.close()


def _write(findings: Findings, influx: Influx, inside: Inside) -> int:
    """Write every parcel as the sink would; the database must refuse no line. Return the number of lines."""
    written = 0
    while (parcel := inside.store.take(INFLUX)) is not None:
        try:
            influx.write(parcel.bucket, parcel.body.decode(), precision="ns")
        except AssertionError as error:
            findings.forbid("a line was refused", str(error)[:500])
        written += parcel.lines
        inside.store.done(parcel)
    return written


def _points(influx: Influx, bucket: str, measurement: str) -> dict[Point, dict[str, str]]:
    found = influx.query(
        f'from(bucket: "{bucket}") |> range(start: 0) |> filter(fn: (r) => r._measurement == "{measurement}")'
        ' |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
        " |> map(fn: (r) => ({r with ms: int(v: r._time) / 1000000})) |> group()"
    )
    return {(int(row["ms"]), tuple(row.get(label, "") for label in LABELS)): row for row in found}


def tag_as_sent(value: str) -> str:
    """Return a tag's value as it is sent: without line feeds, and without a backslash at its end."""
    flat = value.replace("\n", "\\n").replace("\r", "\\r")
    return f"{flat}_" if flat.endswith("\\") else flat


def text_as_sent(value: str) -> str:
    return value.replace("\n", "\\n").replace("\r", "\\r")


Stored = Iterator[tuple[int, int, list[str], dict[str, Any]]]


def _windows(db: sqlite3.Connection) -> Stored:
    """Yield tier, start, labels and fields of the windows of numbers in the store."""
    for tier, start, _, data, *names, tags in named_rows(db, "window"):
        row = np.frombuffer(data[: WINDOW_ROW.itemsize], WINDOW_ROW)[0]
        told = json.loads(tags)
        yield (
            tier,
            start,
            [*names, *(told[name] for name in FORWARDED)],
            {one: row[one].item() for one in FIELDS},
        )


def _states(db: sqlite3.Connection) -> Stored:
    """Yield tier, start, labels and fields of the windows of states in the store."""
    texts: dict[int, str] = dict(db.execute("SELECT id, text FROM text"))
    for tier, start, _, data, *names, tags in named_rows(db, "state_window"):
        row = np.frombuffer(data[: STATE_ROW.itemsize], STATE_ROW)[0]
        told = json.loads(tags)
        fields = {"last": text_as_sent(texts[int(row["last"])]), "changes": int(row["changes"])}
        yield tier, start, [*names, *(told[name] for name in FORWARDED)], fields


def _compare(
    findings: Findings, place: Path, number: int, points: dict[Point, dict[str, str]], stored: Any
) -> None:
    """Check that every stored window is a point with the same fields, and that there is no other point."""
    expected: dict[Point, list[dict[str, Any]]] = {}
    with sqlite3.connect(place / STORE) as db:
        for tier, start, labels, fields in stored(db):
            if tier == number:
                expected.setdefault((start, tuple(map(tag_as_sent, labels))), []).append(fields)
    db.close()
    findings.windows += len(expected)
    for key, choices in expected.items():
        point = points.get(key)
        if point is None:
            findings.lost += 1
            findings.show(f"no point in InfluxDB for {key}: {choices}")
        elif not any(_same(point, fields) for fields in choices):
            findings.wrong += 1
            findings.show(f"InfluxDB has {point} for {key}: {choices}")
    for key in points.keys() - expected.keys():
        findings.double += 1
        findings.show(f"a point in InfluxDB that is not stored: {key}")


def _same(point: dict[str, str], fields: dict[str, Any]) -> bool:
    return all(type(wanted)(point[name]) == wanted for name, wanted in fields.items())
