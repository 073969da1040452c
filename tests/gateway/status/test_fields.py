"""A field of the report, or a counter, says what it means."""

from __future__ import annotations

import pytest
from msgspec import Struct

from edge_gateway.status import report
from edge_gateway.status.counters import AllCounters, Counters
from edge_gateway.status.fields import declared
from edge_gateway.status.report import GatewayStatus, ReportSection, status_schema


def test_what_is_not_declared_cannot_be_counted() -> None:
    with pytest.raises(AttributeError, match="invented"):
        Counters().invented += 1  # type: ignore[attr-defined]


def sections(root: type[Struct]) -> set[type[Struct]]:
    """The sections the schema names."""
    names = status_schema()["$defs"]
    found = {
        one
        for one in (*vars(report).values(), AllCounters)
        if isinstance(one, type) and one.__name__ in names
    }
    return {root, *(one for one in found if issubclass(one, Struct))}


def test_every_field_has_a_meaning() -> None:
    class Silent(ReportSection):
        number: int

    with pytest.raises(TypeError, match=r"Silent.number is declared without a meaning"):
        declared(Silent)
    for section in sections(GatewayStatus):
        assert all(of.meaning for of in declared(section)), section
