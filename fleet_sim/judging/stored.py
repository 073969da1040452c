"""What the other side holds: windows of the local history or of InfluxDB, as rows to compare with."""

import json
import shlex
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from fleet_sim.ledger.expected import Facts

__all__ = [
    "InfluxPlace",
    "StoredUnreadable",
    "WindowKey",
    "history_from_command",
    "history_from_file",
    "influx_windows",
    "json_lines",
    "window_rows",
]

COMMAND_TIMEOUT = 300.0
_FIELDS = ("count", "sum", "min", "max", "first", "last")


class StoredUnreadable(Exception):
    """What is stored could not be read; the text says where, why, and what to do."""


class WindowKey(NamedTuple):
    """One window of one series: `every` and `start` in ms."""

    device: str
    metric: str
    every: int
    start: int


@dataclass(frozen=True, slots=True)
class InfluxPlace:
    url: str
    org: str
    token: str


def json_lines(lines: Iterable[str], name: str) -> Iterator[dict[str, Any]]:
    """Parse lines cut at line feeds alone, for a text may hold other line ends; an unreadable one raises."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as problem:
            raise StoredUnreadable(f"{name}:{number}: not JSON: {problem}") from None
        if not isinstance(row, dict):
            raise StoredUnreadable(f"{name}:{number}: not a JSON object")
        yield row


def history_from_file(path: Path) -> list[dict[str, Any]]:
    """Read the saved output of `edge-gateway query … --json`."""
    try:
        return list(json_lines(path.read_text(encoding="utf-8").split("\n"), str(path)))
    except OSError as problem:
        raise StoredUnreadable(f"cannot read {path}: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise StoredUnreadable(f"cannot read {path}: it is not UTF-8 text") from None


def history_from_command(command: str) -> list[dict[str, Any]]:
    """Run a query command (split like a shell would, but without one) and read its JSON lines."""
    try:
        words = shlex.split(command) or [""]
        done = subprocess.run(  # noqa: S603 - the command is the user's own, run without a shell
            words,
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            timeout=COMMAND_TIMEOUT,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as problem:
        raise StoredUnreadable(f"cannot run `{command}`: {problem}") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise StoredUnreadable(f"`{command}` ended with status {done.returncode}: {said[0]}")
    return list(json_lines(done.stdout.split("\n"), words[0]))


def window_rows(rows: Iterable[Mapping[str, Any]]) -> dict[WindowKey, Facts]:
    """Index the rows of `query windows --json`; of two revisions of a window the later one counts."""
    found: dict[WindowKey, Facts] = {}
    revisions: dict[WindowKey, int] = {}
    for row in rows:
        try:
            key = WindowKey(row["device"], row["metric"], int(row["every"]), int(row["start"]))
            facts = Facts(int(row["count"]), *(float(row[name]) for name in _FIELDS[1:]))
            revision = int(row.get("revision") or 0)
        except (KeyError, TypeError, ValueError, OverflowError) as problem:
            raise StoredUnreadable(f"not a window row ({problem!r}): {dict(row)}") from None
        if revision >= revisions.get(key, -1):
            found[key], revisions[key] = facts, revision
    return found


def influx_windows(
    place: InfluxPlace, bucket: str, every: int, start: int, stop: int
) -> dict[WindowKey, Facts]:
    """Read the windows of one bucket with starts in `[start, stop)` (ms)."""
    # A second of imports that only those pay who ask InfluxDB.
    from influxdb_client.client.exceptions import InfluxDBError  # noqa: PLC0415
    from influxdb_client.client.influxdb_client import InfluxDBClient  # noqa: PLC0415
    from influxdb_client.rest import ApiException  # noqa: PLC0415
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    query = (
        f"from(bucket: {json.dumps(bucket)})"
        f" |> range(start: {_rfc3339(start)}, stop: {_rfc3339(stop)})"
        ' |> filter(fn: (r) => r._measurement == "sensor")'
        ' |> keep(columns: ["_time", "_field", "_value", "device", "metric"])'
    )
    fields: dict[WindowKey, dict[str, float]] = {}
    try:
        with InfluxDBClient(url=place.url, token=place.token, org=place.org, timeout=60_000) as client:
            for record in client.query_api().query_stream(query):
                at = round(record.get_time().timestamp() * 1000)
                key = WindowKey(record["device"], record["metric"], every, at)
                fields.setdefault(key, {})[record.get_field()] = record.get_value()
    except (ApiException, InfluxDBError, HTTPError, OSError) as problem:
        raise StoredUnreadable(
            f"cannot query bucket {bucket} at {place.url}: {problem}; "
            "check --influx-url, --influx-org and the token"
        ) from None
    return {key: _facts(row) for key, row in fields.items() if all(name in row for name in _FIELDS)}


def _facts(row: Mapping[str, float]) -> Facts:
    return Facts(int(row["count"]), *(float(row[name]) for name in _FIELDS[1:]))


def _rfc3339(ms: int) -> str:
    return f"time(v: {ms * 1_000_000})"
