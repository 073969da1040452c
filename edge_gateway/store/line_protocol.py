r"""InfluxDB line protocol, rendered in columns. Times are ns, every line ends with a line feed.

    sensor,<tags> count=…i,first=…,last=…,max=…,mean=…,min=…[,p95=…],quality=…,sum=… <start>
    sensor_state,<tags> last="…",changes=…i <start>
    sensor_partial,<tags>,why=… <fields as of sensor> <time of the first reading>
    sensor_late,<tags>,why=… value=… <time, and a number within its ms>
    alert,device=…,rule=…,site=… cause="…",event="…",level="…",state="…"[,suppressed="…"][,acked=true]
        [,since=…i][,limit=…][,value=…] <time>
    gateway,gateway=… received=…i,… <time>
    metric,metric=… unit="…" <time>
    limit,level=…,metric=…,rule=…,side=…,site=… [clear=…,]value=… <time>

Format: https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/. `count` and `changes` are
integers, all other numbers floats, even when whole. What the format cannot hold is changed before sending: a line
feed becomes the two characters `\n`; a tag value that ends in a backslash gets a `_` appended; a tag without a
value and a field that is not a finite number are left out; a tag key that the database reserves, or that is the name
of a field, gets the prefix `tag_`.

The gateway's own times are ms. A window has one point, at a whole ms, and of the transitions of one rule and device
each has a later ms than the last. Of one series in `sensor_late` several points may have the same ms, and the database
keeps one point for equal tags and time: there the ns are a number that follows from what the point stands for, so that
rendered again it is the same point.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_gateway.records.alerts import Transition
from edge_gateway.records.window_block import Rows, WindowBlock
from edge_gateway.windows.merge import sums

FIELDS: Final = frozenset(
    {"changes", "count", "first", "last", "level", "max", "mean", "min", "p95"}
    | {"quality", "state", "sum", "time", "value"}
)
WHY: Final = "why"
"""The tag of late readings and partial windows that says why they are merged nowhere."""
_PERFECT: Final = 1000.0
_NS: Final = 10**6
"""In a ms."""
_WHOLE_MS: Final = b"000000"
"""Behind a time in ms, makes it one in ns."""
_BARE_SECTIONS: Final = ("messages", "values", "counters")
_NAMED_SECTIONS: Final = ("alerts", "broker", "commands", "fleet", "gaps", "sinks", "spool", "store")
_ONE_LINE: Final = str.maketrans({"\n": "\\n", "\r": "\\r"})
_IN_MEASUREMENT: Final = str.maketrans({",": "\\,", " ": "\\ "})
_IN_TAG: Final = str.maketrans({",": "\\,", " ": "\\ ", "=": "\\="})
_IN_TEXT: Final = str.maketrans({'"': '\\"', "\\": "\\\\"})
_encode: Final = msgspec.json.Encoder().encode


class Limit(NamedTuple):
    """A limit that a rule puts on a metric at a site: `side` is "above" or "below", `clear` ends an alert beyond it."""

    rule: str
    level: str
    metric: str
    side: str
    site: str
    value: float
    clear: float | None


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
    return _before(measurement, {tag_key(key): value for key, value in tags.items() if key})


def _before(measurement: str, tags: Mapping[str, str]) -> bytes:
    named = sorted((key, value) for key, value in tags.items() if value)
    text = "".join(f",{tag_text(key)}={tag_text(value)}" for key, value in named)
    return (measurement.translate(_IN_MEASUREMENT) + text).encode("utf-8", "replace")


# --- windows


def render_windows(prefixes: Sequence[bytes], block: WindowBlock, *, time: str = "start") -> bytes:
    """Render WINDOW_ROWs.

    Args:
        prefixes: rendered measurement and tags of each row.
        block: the rows, in any order; a p95 that is NaN is left out.
        time: the column that is the time of the points.
    """
    rows, texts = block.rows, _Texts()
    if not len(rows):
        return b""
    count, total = rows["count"], sums(rows, block.tails)
    return _lines(
        *(prefixes, b" count=", texts.of(count), b"i,first=", texts.of(rows["first"])),
        *(b",last=", texts.of(rows["last"]), b",max=", texts.of(rows["max"])),
        *(*texts.where_finite(b",mean=", total / count), b",min=", texts.of(rows["min"])),
        *texts.where_finite(b",p95=", rows["p95"]),
        *(b",quality=", texts.of(rows["quality"] / (count * _PERFECT))),
        *(*texts.where_finite(b",sum=", total), b" ", texts.of(rows[time]), _WHOLE_MS),
    )


def render_states(prefixes: Sequence[bytes], rows: Rows, last: Sequence[str]) -> bytes:
    """Render STATE_ROWs; `last` are the texts behind the rows' `last` codes."""
    if not len(rows):
        return b""
    values, texts = [field_text(text).encode("utf-8", "replace") for text in last], _Texts()
    changes, start = texts.of(rows["changes"]), texts.of(rows["start"])
    return _lines(prefixes, b' last="', values, b'",changes=', changes, b"i ", start, _WHOLE_MS)


Column = bytes | Sequence[bytes]
"""A text for each row, or one for all."""


class _Texts:
    """Renders columns of numbers, at least one; equal columns once: in windows of one reading most are."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, bytes], Column] = {}

    def of(self, column: NDArray[np.int64] | NDArray[np.float64]) -> Column:
        """Render each number in the fewest digits that parse to the same value; `null` if it is not finite."""
        bits = column.tobytes()
        key = column.dtype.kind, bits
        if key not in self._known:
            same = bits == bits[: column.itemsize] * len(column)
            texts = _encode(column[:1].tolist() if same else column.tolist())[1:-1]
            self._known[key] = texts if same else texts.split(b",")
        return self._known[key]

    def where_finite(self, label: bytes, column: NDArray[np.float64]) -> Sequence[Column]:
        """Render a field, label and number, which is left out where the number is not finite."""
        finite = np.isfinite(column)
        if not finite.any():
            return ()
        if finite.all():
            return label, self.of(column)
        texts = _encode(column.tolist())[1:-1].split(b",")
        return ([label + text if good else b"" for text, good in zip(texts, finite.tolist(), strict=True)],)


def _lines(prefixes: Sequence[bytes], *columns: Column) -> bytes:
    """Join the columns of each row into a line, after its prefix."""
    parts, before = [list(prefixes)], b""
    for column in columns:
        if isinstance(column, bytes):
            before += column
        else:
            parts.append([before + text for text in column])
            before = b""
    pieces = [before + b"\n"] * ((len(parts) + 1) * len(prefixes))
    for at, part in enumerate(parts):
        pieces[at :: len(parts) + 1] = part
    return b"".join(pieces)


# --- single points


def render_late(before: bytes, value: float, ts: int, nth: int) -> bytes:
    """Render a reading that came too late for its window.

    Args:
        before: its measurement and tags, rendered.
        value: the reading.
        ts: its time in ms.
        nth: its number within this ms, below 10^6.
    """
    return b"%b value=%b %d\n" % (before, _encode(float(value)), ts * _NS + nth)


def render_alert(alert: Transition) -> bytes:
    """Render an alert transition. The level is a field, so that "resolved" is in the same series as "firing"."""
    before = prefix("alert", {"device": alert.subject, "rule": alert.rule, "site": alert.site})
    shown = {name: getattr(alert, name) for name in ("cause", "event", "level", "state")}
    fields = ",".join(f'{name}="{field_text(text)}"' for name, text in shown.items())
    if alert.suppressed:
        fields += f',suppressed="{field_text(", ".join(alert.suppressed))}"'
    fields += ",acked=true" if alert.acked else ""
    fields += "" if alert.since is None else f",since={alert.since}i"
    for name, number in (("limit", alert.limit), ("value", alert.value)):
        if number is not None and np.isfinite(number):
            fields += f",{name}={_encode(float(number)).decode()}"
    return b"%b %b %d\n" % (before, fields.encode("utf-8", "replace"), alert.at * _NS)


def render_unit(metric: str, unit: str, at: int) -> bytes:
    """Render the unit of a metric."""
    text = f'unit="{field_text(unit)}"'.encode("utf-8", "replace")
    return b"%b %b %d\n" % (prefix("metric", {"metric": metric}), text, at * _NS)


def render_limit(limit: Limit, at: int) -> bytes:
    """Render a limit of a rule, and what clears it."""
    *tags, value, clear = limit
    text = b"value=" + _encode(float(value))
    if clear is not None:
        text = b"clear=%b," % _encode(float(clear)) + text
    return b"%b %b %d\n" % (_before("limit", dict(zip(Limit._fields, tags, strict=False))), text, at * _NS)


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
    before = prefix("gateway", {"gateway": gateway})
    return b"%b %b %d\n" % (before, rendered.encode("utf-8", "replace"), at * _NS)


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
