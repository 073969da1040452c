"""A strict reader of Prometheus' text format, and the rules for names; no code of the product is used.

Sources: https://prometheus.io/docs/instrumenting/exposition_formats/#text-format-details,
https://prometheus.io/docs/practices/naming/, https://prometheus.io/docs/concepts/data_model/; the rules are those of
`promtool check metrics` (client_golang, prometheus/testutil/promlint).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_HELP = re.compile(rf"# HELP ({_NAME}) ((?:[^\\\n]|\\\\|\\n)*)")
_TYPE = re.compile(rf"# TYPE ({_NAME}) (counter|gauge|histogram|summary|untyped)")
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\\\|\\"|\\n)*"'
_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|NaN|[+-]Inf"
_SAMPLE = re.compile(rf"({_NAME})(?:\{{((?:{_LABEL},)*{_LABEL},?)?\}})? ({_NUMBER})(?: -?\d+)?")
_ONE_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}

_ABBREVIATED = {"s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"}
_NOT_BASE = re.compile(
    r"(pico|nano|micro|milli|centi|deci|deca|hecto|kilo|kibi|mega|mebi|giga|gibi|tera|tebi|peta|pebi)"
    r"(seconds|bytes|meters|grams|volts|amperes|joules)|minutes|hours|days|weeks|bits|fahrenheit|pounds|ounces"
)
_TYPES = {"counter", "gauge", "histogram", "summary"}


@dataclass
class Metric:
    """A metric and its samples by their labels."""

    name: str
    help: str
    type: str = ""
    samples: dict[tuple[tuple[str, str], ...], float] = field(default_factory=dict)


def parse(text: str) -> dict[str, Metric]:
    """Read a whole answer. ValueError: it is not as the format says."""
    if not text.endswith("\n"):
        raise ValueError("the last line does not end")
    metrics: dict[str, Metric] = {}
    last: Metric | None = None
    for line in text.removesuffix("\n").split("\n"):
        if found := _HELP.fullmatch(line):
            if found[1] in metrics:
                raise ValueError(f"a second group of one metric: {line}")
            last = metrics[found[1]] = Metric(found[1], found[2])
        elif found := _TYPE.fullmatch(line):
            if last is None or last.name != found[1] or last.type or last.samples:
                raise ValueError(f"TYPE is not between HELP and the samples: {line}")
            last.type = found[2]
        elif found := _SAMPLE.fullmatch(line):
            if last is None or last.name != found[1] or not last.type:
                raise ValueError(f"a sample outside the group of its metric: {line}")
            _add(last, tuple(_labels(found[2] or "")), float(found[3]))
        else:
            raise ValueError(f"neither HELP, TYPE nor sample: {line}")
    return metrics


def _labels(text: str) -> Iterator[tuple[str, str]]:
    for name, value in _ONE_LABEL.findall(text):
        yield name, re.sub(r"\\.", lambda found: _ESCAPES[found[0]], value)


def _add(metric: Metric, labels: tuple[tuple[str, str], ...], value: float) -> None:
    if labels in metric.samples:
        raise ValueError(f"twice the same sample: {metric.name} {labels}")
    metric.samples[labels] = value


def faults(metric: Metric) -> list[str]:
    """Return what `promtool check metrics` would say about a metric."""
    words = metric.name.split("_")
    reserved = {"count", "sum", "bucket", "info"} & {words[-1]}
    found = {
        "has no help": not metric.help,
        "is a counter not named _total": metric.type == "counter" and words[-1] != "total",
        "is named _total and is no counter": metric.type != "counter" and "total" in words,
        f"has a suffix that is reserved: {reserved}": bool(reserved),
        "has its type in its name": bool(_TYPES & set(words)),
        "has a colon": ":" in metric.name,
        "is not in snake case": re.search(r"[a-z][A-Z]", metric.name) is not None,
        "has an abbreviated unit": bool(_ABBREVIATED & set(words)),
        "has a unit that is no base unit": any(_NOT_BASE.fullmatch(word) for word in words),
        "has its unit not at its end": bool(
            {"seconds", "bytes"} & set(words[: -2 if words[-1] == "total" else -1])
        ),
    }
    return [f"{metric.name} {what}" for what, so in found.items() if so]
