"""What a gateway or InfluxDB has stored, as rows to compare with a ledger: windows, and alert transitions."""

import csv
import json
import math
import shlex
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from fleet_sim.judging.grade import LEVELS, Alert
from fleet_sim.ledger.expected import Facts
from fleet_wire.errors import system_text, tls_fault
from fleet_wire.printable import printable

__all__ = [
    "InfluxPlace",
    "StoredUnreachable",
    "StoredUnreadable",
    "WindowKey",
    "alert_rows",
    "history_from_command",
    "history_from_file",
    "influx_windows",
    "json_lines",
    "window_rows",
]

COMMAND_TIMEOUT: Final = 300.0
"""Seconds that a query command may take."""
INFLUX_TIMEOUT: Final = 60.0
"""Seconds that InfluxDB may let a query wait for the next bytes."""
CANNOT_REACH: Final = 3
"""Exit status of a query command that cannot reach its gateway; `edge-gateway` has the same."""
_FIELDS: Final = ("count", "sum", "min", "max", "first", "last")
_ALWAYS_WRITTEN: Final = frozenset(_FIELDS) - {"sum"}
"""A point has no sum where that is beyond all doubles."""


class StoredUnreadable(Exception):
    """What was given to compare with cannot be used; the text says where, why, and what to do."""


class StoredUnreachable(Exception):
    """Whoever holds what is stored does not answer; the text says where, why, and what to do."""


class WindowKey(NamedTuple):
    """One window of one series: `every` and `start` in ms."""

    device: str
    metric: str
    every: int
    start: int


@dataclass(frozen=True, slots=True)
class InfluxPlace:
    """An InfluxDB 2 and how to log in."""

    url: str
    org: str
    token: str


# --- the gateway's history


def json_lines(lines: Iterable[str], name: str) -> Iterator[dict[str, Any]]:
    """Parse lines that hold one JSON object each; blank ones are skipped.

    Give lines cut at line feeds alone: a text may hold other line ends.

    Raises:
        StoredUnreadable: a line is something else.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise StoredUnreadable(
                f"{name}:{number}: not JSON: {printable(line, 60)}; was --json left out of the query?"
            ) from None
        if not isinstance(row, dict):
            raise StoredUnreadable(f"{name}:{number}: not a JSON object")
        yield row


def history_from_file(path: Path) -> list[dict[str, Any]]:
    """Read the saved output of `edge-gateway query … --json`."""
    try:
        return list(json_lines(path.read_text(encoding="utf-8").split("\n"), str(path)))
    except OSError as problem:
        raise StoredUnreadable(f"cannot read {path}: {system_text(problem)}") from None
    except UnicodeDecodeError:
        raise StoredUnreadable(f"cannot read {path}: it is not UTF-8 text") from None


def history_from_command(command: str, *, within: float = COMMAND_TIMEOUT) -> list[dict[str, Any]]:
    """Run a query command, at most `within` seconds, and read its JSON lines.

    The command is split like a shell would, but run without one.
    """
    words = _words(command)
    try:
        done = subprocess.run(  # noqa: S603 - the command is the user's own, run without a shell
            words,
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            timeout=within,
            check=False,
        )
    except OSError as problem:
        raise StoredUnreadable(f"cannot run `{command}`: {system_text(problem)}: {words[0]}") from None
    except subprocess.TimeoutExpired:
        raise StoredUnreachable(
            f"`{command}` was stopped: it took longer than {within:g} s; run it by hand to see what it waits for"
        ) from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        kind = StoredUnreachable if done.returncode == CANNOT_REACH else StoredUnreadable
        raise kind(f"`{command}` {_ended(done.returncode)}: {said[0]}")
    return list(json_lines(done.stdout.split("\n"), words[0]))


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError:
        raise StoredUnreadable(f"cannot run `{command}`: a quote or a backslash has no counterpart") from None
    if not words or "\0" in command:
        raise StoredUnreadable(f"cannot run `{command}`: it names no program")
    return words


def _ended(status: int) -> str:
    return f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"


# --- rows


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _level(value: Any) -> str:
    if value not in LEVELS:
        raise ValueError
    return str(value)


def _sum(value: Any) -> float:
    """Read a sum; what is beyond all doubles is null in JSON."""
    return math.inf if value is None else float(value)


_WINDOW: Final[Mapping[str, Callable[[Any], Any]]] = {
    "device": _text,
    "metric": _text,
    "every": int,
    "start": int,
    "count": int,
    **dict.fromkeys(_FIELDS[1:], float),
    "sum": _sum,
}
_ALERT: Final[Mapping[str, Callable[[Any], Any]]] = {
    "id": _text,
    "rule": _text,
    "level": _level,
    "state": _text,
    "subject": _text,
    "at": int,
    "event": _text,
}


def window_rows(rows: Iterable[Mapping[str, Any]], source: str = "the history") -> dict[WindowKey, Facts]:
    """Index the rows of `query windows --json`; of two revisions of a window the later one counts."""
    found: dict[WindowKey, Facts] = {}
    revisions: dict[WindowKey, int] = {}
    for number, row in enumerate(rows, start=1):
        device, metric, every, start, *facts = _values(row, _WINDOW, "window", source, number)
        key = WindowKey(device, metric, every, start)
        revision = row.get("revision") or 0
        if not isinstance(revision, int):
            raise _misfit(row, "revision", "window", source, number)
        if revision >= revisions.get(key, -1):
            found[key], revisions[key] = Facts(*facts), revision
    return found


def alert_rows(rows: Iterable[Mapping[str, Any]], source: str = "the history") -> list[Alert]:
    """Read the rows of `query alerts --json`."""
    found = []
    for number, row in enumerate(rows, start=1):
        values, metric = _values(row, _ALERT, "alert", source, number), row.get("metric")
        if metric is not None and not isinstance(metric, str):
            raise _misfit(row, "metric", "alert", source, number)
        found.append(Alert(*values)._replace(metric=metric))
    return found


def _values(
    row: Mapping[str, Any], kinds: Mapping[str, Callable[[Any], Any]], what: str, source: str, number: int
) -> list[Any]:
    try:
        return [kind(row[name]) for name, kind in kinds.items()]
    except (KeyError, TypeError, ValueError, OverflowError):
        wrong = next(name for name, kind in kinds.items() if not _fits(row, name, kind))
        raise _misfit(row, wrong, what, source, number) from None


def _fits(row: Mapping[str, Any], name: str, kind: Callable[[Any], Any]) -> bool:
    try:
        kind(row[name])
    except (KeyError, TypeError, ValueError, OverflowError):
        return False
    return True


def _misfit(row: Mapping[str, Any], name: str, what: str, source: str, number: int) -> StoredUnreadable:
    value = f"is {printable(json.dumps(row[name]), 40)}" if name in row else "is missing"
    article = "an" if what == "alert" else "a"
    return StoredUnreadable(
        f"{source}: row {number} is not {article} {what} row: '{name}' {value}; "
        f"give what `edge-gateway query {what}s --json` writes"
    )


# --- InfluxDB


def influx_windows(
    place: InfluxPlace, bucket: str, every: int, start: int, stop: int
) -> dict[WindowKey, Facts]:
    """Read the windows of one bucket with starts in `[start, stop)` (ms)."""
    query = (
        f"from(bucket: {json.dumps(bucket)})"
        f" |> range(start: {_rfc3339(start)}, stop: {_rfc3339(stop)})"
        ' |> filter(fn: (r) => r._measurement == "sensor")'
        ' |> keep(columns: ["_time", "_field", "_value", "device", "metric"])'
    )
    fields: dict[WindowKey, dict[str, float]] = {}
    try:
        for record in _records(place, bucket, query):
            at = round(record["_time"].timestamp() * 1000)
            key = WindowKey(record["device"], record["metric"], every, at)
            fields.setdefault(key, {})[record["_field"]] = record["_value"]
        return {key: _facts(row) for key, row in fields.items() if row.keys() >= _ALWAYS_WRITTEN}
    except (csv.Error, LookupError, AttributeError, TypeError, ValueError):
        raise StoredUnreadable(
            f"{place.url} does not answer a query of bucket {bucket} as InfluxDB 2 does; check --influx-url"
        ) from None


def _records(place: InfluxPlace, bucket: str, query: str) -> Iterator[Any]:
    # A second of imports that only those pay who ask InfluxDB.
    from influxdb_client.client.exceptions import InfluxDBError  # noqa: PLC0415
    from influxdb_client.client.flux_csv_parser import (  # noqa: PLC0415
        FluxCsvParserException,
        FluxQueryException,
    )
    from influxdb_client.client.influxdb_client import InfluxDBClient  # noqa: PLC0415
    from influxdb_client.rest import ApiException  # noqa: PLC0415
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    timeout = round(INFLUX_TIMEOUT * 1000)
    try:
        with InfluxDBClient(url=place.url, token=place.token, org=place.org, timeout=timeout) as client:
            yield from client.query_api().query_stream(query)
    except ApiException as problem:
        if problem.status:
            raise _refusal(place, bucket, int(problem.status), problem.body or b"") from None
        raise _unreachable(place, problem) from None  # TLS failed before there was an answer
    except FluxQueryException as problem:
        raise StoredUnreadable(
            f"{place.url}: the query of bucket {bucket} failed: {problem.message}"
        ) from None
    except FluxCsvParserException:
        raise ValueError from None
    except (InfluxDBError, HTTPError, OSError) as problem:
        raise _unreachable(place, problem) from None


def _unreachable(place: InfluxPlace, problem: BaseException) -> StoredUnreachable:
    return StoredUnreachable(
        f"cannot reach InfluxDB at {place.url}: {_cause(problem)}; is it running, and --influx-url right?"
    )


def _refusal(
    place: InfluxPlace, bucket: str, status: int, body: bytes | str
) -> StoredUnreadable | StoredUnreachable:
    """Return the error for an answer with a status that is none of success."""
    text = f"{place.url} answers the query of bucket {bucket} with status {status}: {_message(body)}"
    if status in (401, 403):
        return StoredUnreadable(f"{text}; INFLUX_TOKEN must hold a token that may read the bucket")
    if status == 404:  # noqa: PLR2004 - HTTP's
        return StoredUnreadable(f"{text}; check --influx-url and --influx-org")
    return StoredUnreachable(f"{text}; try again") if status >= 500 else StoredUnreadable(text)  # noqa: PLR2004


def _message(body: bytes | str) -> str:
    """Return what an answer says in its `message`; of another form, its beginning."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    try:
        return printable(json.loads(text)["message"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return printable(text, 60) or "no text"


def _cause(problem: BaseException) -> str:
    """Return the innermost reason of a failed connection."""
    text = "the connection failed"
    error: Any = problem
    while isinstance(error, BaseException):
        if isinstance(error, OSError) and error.strerror:
            text = tls_fault(error) or system_text(error)
        elif isinstance(error, TimeoutError):
            text = "no answer in time"
        error = error.__cause__ or error.__context__
    return text


def _facts(row: Mapping[str, float]) -> Facts:
    return Facts(int(row["count"]), _sum(row.get("sum")), *(float(row[name]) for name in _FIELDS[2:]))


def _rfc3339(ms: int) -> str:
    return f"time(v: {ms * 1_000_000})"
