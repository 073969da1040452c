"""The tables of docs/operate.md are made from the program."""

from __future__ import annotations

import pytest

from edge_gateway.status.counters import AllCounters
from edge_gateway.status.page_tables import counter_rows, problem_rows, status_rows, with_tables


def test_the_tables_of_the_page_have_a_row_for_everything() -> None:
    fields = {row[0].strip("`") for row in status_rows()}
    assert {"broker.lag", "windows[].every", "sinks.<name>.waiting.bytes", "problems[].gravity"} <= fields
    assert [row[0] for row in counter_rows()][1:] == [f"`{name}`" for name in AllCounters.__struct_fields__]
    assert all(len(row) == 5 and all(row) for row in problem_rows())
    with pytest.raises(ValueError, match="no place for the table of status"):
        with_tables("# A page without tables\n")
