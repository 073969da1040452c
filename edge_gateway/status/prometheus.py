"""The report in Prometheus' text format, version 0.0.4, with the names that Prometheus recommends.

Nested names are joined by `_` and end in the base unit; a counter ends in `_total`. Times are seconds. The keys of a
dict are values of a label. Texts are left out, but for the open problems: one sample each, by code and level.

Sources: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format,
https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from msgspec import Struct

from edge_gateway.status.fields import BYTES, MS, WALL, Field, Measure, declared
from edge_gateway.status.report import GatewayStatus

PREFIX: Final = "edge_gateway"
_MS_A_SECOND: Final = 1000
_PROBLEM: Final = f"{PREFIX}_problem"
_PROBLEM_HEAD: Final = (
    f"# HELP {_PROBLEM} a problem that is open, by code and level (failure, warning or notice)\n"
    f"# TYPE {_PROBLEM} gauge\n"
)


class _Unit(NamedTuple):
    suffix: str = ""
    described: str = ""
    divisor: int = 1


_UNITS: Final = {
    "": _Unit(),
    BYTES: _Unit("_bytes", " (bytes)"),
    MS: _Unit("_seconds", " (seconds)", _MS_A_SECOND),
    WALL: _Unit("_timestamp_seconds", " (seconds since 1970 UTC)", _MS_A_SECOND),
}


class _Metric(NamedTuple):
    """A field of a section; `head` is its HELP and TYPE lines."""

    of: Field
    name: str
    head: str
    divisor: int


def prometheus(report: GatewayStatus) -> str:
    """Return every number of a report, the samples of a metric together behind their HELP and TYPE lines."""
    metrics: dict[str, list[str]] = {}
    for head, sample in (*_samples(PREFIX, report, ""), *_problems(report)):
        metrics.setdefault(head, []).append(sample)
    return "".join(head + "".join(samples) for head, samples in metrics.items())


def _samples(prefix: str, section: Struct, labels: str) -> Iterator[tuple[str, str]]:
    """Yield the head and the line of each number."""
    for of, name, head, divisor in _metrics(prefix, type(section)):
        value = getattr(section, of.name)
        if isinstance(value, Struct):
            yield from _samples(name, value, labels)
        elif isinstance(value, dict):
            for key, inner in value.items():
                yield from _samples(name, inner, f'{{{of.label}="{_escaped(key)}"}}')
        elif of.measure is not None and value is not None:
            number = int(value) if divisor == 1 else value / divisor
            yield head, f"{name}{labels} {number}\n"


def _problems(report: GatewayStatus) -> Iterator[tuple[str, str]]:
    """Yield the head and the line of each open problem. There is none while nothing is wrong."""
    for one in report.problems:
        yield _PROBLEM_HEAD, f'{_PROBLEM}{{code="{_escaped(one.code)}",level="{one.gravity}"}} 1\n'


@lru_cache(maxsize=256)
def _metrics(prefix: str, section: type[Struct]) -> tuple[_Metric, ...]:
    return tuple(_metric(prefix, of) for of in declared(section))


def _metric(prefix: str, of: Field) -> _Metric:
    unit = _UNITS[of.unit]
    name = f"{prefix}_{of.metric}".removesuffix(unit.suffix) + unit.suffix
    if of.measure is Measure.COUNTER:
        name += "_total"
    text = f"{of.meaning}{unit.described}".replace("\\", r"\\").replace("\n", r"\n")
    return _Metric(of, name, f"# HELP {name} {text}\n# TYPE {name} {of.measure}\n", unit.divisor)


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
