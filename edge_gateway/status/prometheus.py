"""The report in Prometheus' text format, version 0.0.4: nested names are joined by `_`, texts are left out.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from msgspec import Struct

from edge_gateway.status.counters import Totals
from edge_gateway.status.fields import Field, declared
from edge_gateway.status.report import GatewayStatus

PREFIX = "edge_gateway"


def prometheus(report: GatewayStatus) -> str:
    """Return every number of a report, with HELP and TYPE lines."""
    return "".join(_samples(PREFIX, report))


def _samples(prefix: str, section: Struct) -> Iterator[str]:
    for of, name, head in _metrics(prefix, type(section)):
        value = getattr(section, of.name)
        if isinstance(value, Struct):
            yield from _samples(name, value)
        elif isinstance(value, dict):
            for key, inner in value.items():
                yield from _samples(f"{name}_{_allowed(key)}", inner)
        elif of.measure is not None and value is not None:
            yield f"{head}{name} {int(value)}\n"


@lru_cache(maxsize=256)
def _metrics(prefix: str, section: type[Struct]) -> tuple[tuple[Field, str, str], ...]:
    """Return each field of a section, its metric's name, and the HELP and TYPE lines."""
    suffix = "_total" if issubclass(section, Totals) else ""
    named = ((of, f"{prefix}_{of.wire}{suffix}") for of in declared(section))
    return tuple((of, name, _head(of, name)) for of, name in named)


def _head(of: Field, name: str) -> str:
    unit = f" ({of.unit})" if of.unit else ""
    text = f"{of.meaning}{unit}".replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {text}\n# TYPE {name} {of.measure}\n"


def _allowed(name: str) -> str:
    return name.replace("-", "_").replace(".", "_")
