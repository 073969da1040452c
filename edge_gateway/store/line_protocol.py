r"""InfluxDB line protocol, rendered in columns. Times are ms, every line ends with a line feed.

    sensor,<tags> count=…i,first=…,last=…,max=…,mean=…,min=…[,p95=…],quality=…,sum=… <start>
    sensor_state,<tags> last="…",changes=…i <start>
    sensor_partial,<tags>,why=… <fields as of sensor> <time of the first reading>
    sensor_late,<tags>,why=… value=… <time>
    alert,device=…,rule=…,site=… level="…",state="…"[,value=…] <time>
    gateway,gateway=… received=…i,… <time>

Format: https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/. `count` and `changes` are
integers, all other numbers floats, even when whole. What the format cannot hold is changed before sending: a line
feed becomes the two characters `\n`; a tag value that ends in a backslash gets a `_` appended; a tag without a
value and a field that is not a finite number are left out; a tag key that the database reserves, or that is the name
of a field, gets the prefix `tag_`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_gateway.records.alerts import Transition
from edge_gateway.windows.merge import sums
from edge_gateway.windows.rows import Key, Rows, keys
from edge_gateway.windows.tail import Tail

FIELDS: Final = frozenset(
    {"changes", "count", "first", "last", "level", "max", "mean", "min", "p95"}
    | {"quality", "state", "sum", "time", "value"}
)
WHY: Final = "why"
"""The tag of late readings and partial windows that says why they are merged nowhere."""
_PERFECT: Final = 1000.0
_BARE_SECTIONS: Final = ("messages", "values", "counters")
_NAMED_SECTIONS: Final = ("alerts", "broker", "commands", "fleet", "gaps", "sinks", "spool", "store")
_ONE_LINE: Final = str.maketrans({"\n": "\\n", "\r": "\\r"})
_IN_MEASUREMENT: Final = str.maketrans({",": "\\,", " ": "\\ "})
_IN_TAG: Final = str.maketrans({",": "\\,", " ": "\\ ", "=": "\\="})
_IN_TEXT: Final = str.maketrans({'"': '\\"', "\\": "\\\\"})
_encode: Final = msgspec.json.Encoder().encode


# --- text


def tag_text(text: str) -> str:
    """Escape text for a tag key or value, or for a field key."""
    escaped = text.translate(_ONE_LINE).translate(_IN_TAG)
    return f"{escaped}_" if escaped.endswith("\\") else escaped


def field_text(text: str) -> str:
    """Escape text for the value of a string field, between its quotes."""
    return text.translate(_ONE_LINE).translate(_IN_TEXT)


def tag_key(name: str) -> str:
    """Return a tag key that collides with no field, no tag of ours and no reserved name."""
    return f"tag_{name}" if name in FIELDS or name == WHY or name.startswith("_") else name


def prefix(measurement: str, tags: Mapping[str, str]) -> bytes:
    """Render measurement and tags, sorted by key: a line up to the space before its fields."""
    named = sorted((tag_key(key), value) for key, value in tags.items() if key and value)
    text = "".join(f",{tag_text(key)}={tag_text(value)}" for key, value in named)
    return (measurement.translate(_IN_MEASUREMENT) + text).encode("utf-8", "replace")


# --- windows


def render_windows(
    prefixes: Sequence[bytes], rows: Rows, tails: Mapping[Key, Tail] | None = None, *, time: str = "start"
) -> bytes:
    """Render WINDOW_ROWs.

    Args:
        prefixes: rendered measurement and tags of each row.
        rows: in any order; a p95 that is NaN is left out.
        tails: tails of the rows that have one, by (series, start).
        time: the column that is the time of the points.
    """
    count = rows["count"]
    total = sums(
        rows, {row: tails[key] for row, key in enumerate(keys(rows)) if key in tails} if tails else None
    )
    columns = [
        *(list(prefixes), _after(b" count=", _numbers(count)), _after(b"i,first=", _numbers(rows["first"]))),
        *(_after(b",last=", _numbers(rows["last"])), _after(b",max=", _numbers(rows["max"]))),
        _where_finite(b",mean=", total / count),
        _after(b",min=", _numbers(rows["min"])),
        _where_finite(b",p95=", rows["p95"]),
        _after(b",quality=", _numbers(rows["quality"] / (count * _PERFECT))),
        _where_finite(b",sum=", total),
        _after(b" ", _numbers(rows[time])),
    ]
    return _lines(columns)


def render_states(prefixes: Sequence[bytes], rows: Rows, last: Sequence[str]) -> bytes:
    """Render STATE_ROWs; `last` are the texts behind the rows' `last` codes."""
    texts = [b' last="' + field_text(text).encode("utf-8", "replace") for text in last]
    changes = _after(b'",changes=', _numbers(rows["changes"]))
    return _lines([list(prefixes), texts, changes, _after(b"i ", _numbers(rows["start"]))])


def _numbers(column: NDArray[np.int64] | NDArray[np.float64]) -> list[bytes]:
    """Render each number in the fewest digits that parse to the same value; `null` if it is not finite."""
    return _encode(column.tolist())[1:-1].split(b",") if len(column) else []


def _after(label: bytes, texts: list[bytes]) -> list[bytes]:
    return [label + text for text in texts]


def _where_finite(label: bytes, column: NDArray[np.float64]) -> list[bytes]:
    texts = _numbers(column)
    finite = np.isfinite(column)
    if finite.all():
        return _after(label, texts)
    return [label + text if good else b"" for text, good in zip(texts, finite.tolist(), strict=True)]


def _lines(columns: list[list[bytes]]) -> bytes:
    """Join the columns of each row into a line."""
    rows = len(columns[0])
    width = len(columns) + 1
    pieces = [b"\n"] * (width * rows)
    for at, column in enumerate(columns):
        pieces[at::width] = column
    return b"".join(pieces)


# --- single points


def render_late(before: bytes, value: float, ts: int) -> bytes:
    """Render a reading that came too late for its window; `before` is its prefix, `ts` in ms."""
    return b"%b value=%b %d\n" % (before, _encode(float(value)), ts)


def render_alert(alert: Transition) -> bytes:
    """Render an alert transition. The level is a field, so that "resolved" is in the same series as "firing"."""
    before = prefix("alert", {"device": alert.subject, "rule": alert.rule, "site": alert.site})
    fields = f'level="{field_text(alert.level)}",state="{field_text(alert.state)}"'
    value = alert.value
    if value is not None and np.isfinite(value):
        fields += f",value={_encode(float(value)).decode()}"
    return b"%b %b %d\n" % (before, fields.encode("utf-8", "replace"), alert.at)


def render_gateway(gateway: str, report: Mapping[str, Any], at: int) -> bytes:
    """Render the numbers in a gateway's report on itself; empty if it has none.

    Numbers of the sections messages, values and counters keep their names; those of others become `<section>_<name>`.
    """
    fields = {name: text for section in _BARE_SECTIONS for name, text in _fields(report.get(section))}
    for section in _NAMED_SECTIONS:
        fields |= {f"{section}_{name}": text for name, text in _fields(report.get(section))}
    if not fields:
        return b""
    rendered = ",".join(f"{tag_text(name)}={text}" for name, text in sorted(fields.items()))
    return b"%b %b %d\n" % (prefix("gateway", {"gateway": gateway}), rendered.encode("utf-8", "replace"), at)


def _fields(section: Any) -> Iterator[tuple[str, str]]:
    """Yield (name, rendered value) of the numbers in a section; nested names are joined by `_`."""
    for name, value in (section or {}).items():
        if isinstance(value, Mapping):
            yield from ((f"{name}_{inner}", text) for inner, text in _fields(value))
        elif isinstance(value, bool):
            yield name, "true" if value else "false"
        elif isinstance(value, int):
            yield name, f"{value}i"
        elif isinstance(value, float) and np.isfinite(value):
            yield name, _encode(value).decode()
