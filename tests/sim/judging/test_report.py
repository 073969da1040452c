"""A run's result as a table and as JUnit."""

import math
import re
import unicodedata
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from fleet_console.drawing import Table, draw
from fleet_sim.cli import judging
from fleet_sim.cli.looking import chart_rows
from fleet_sim.cli.outcome import result_rows
from fleet_sim.devices.pacing import Percentiles
from fleet_sim.judging.grade import Grade, RuleGrade
from fleet_sim.judging.report import Check, check_rows, rows_table
from tests.sim.results import result, snapshot

UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
HOSTILE = "[/red]\x1b[2J\x9b\n\u202e\ud800" + "x" * 64


@pytest.mark.parametrize("terminal", [False, True])
def test_every_table_shows_any_text_and_obeys_none(terminal: bool) -> None:
    spread = Percentiles(1, math.nan, math.inf, -math.inf, 1e300, -1.0)
    grade = Grade(
        rules={HOSTILE: RuleGrade(expected=2**64)}, latency=spread, repeated=1, examples=[HOSTILE, "a " * 90]
    )
    check = Check(HOSTILE, HOSTILE, HOSTILE, passed=None)
    told = replace(result(), directory=Path(HOSTILE.replace("\ud800", "")), last=snapshot(ack=spread))
    tables = [
        rows_table(HOSTILE, [(HOSTILE, HOSTILE), ("", "")]),
        rows_table("grade", judging.grade_rows(grade)),
        rows_table("run", result_rows(told)),
        rows_table(
            "preview",
            chart_rows(
                [{"a": HOSTILE, "b": math.nan, "c": None, "d": True, "e": [1], "f": math.inf, "g": 1}]
            ),
        ),
        *check_rows([check, replace(check, passed=True), replace(check, passed=False)]),
    ]
    lines = shown(*tables, terminal=terminal)
    assert all(unicodedata.category(one) not in UNSEEN for line in lines for one in line)
    if terminal:
        assert max(map(cell_len, lines)) <= 80
    else:
        assert len(lines) == sum(1 + len(table.rows) for table in tables)


@pytest.mark.parametrize("terminal", [False, True])
def test_tables_of_two_columns_are_aligned_under_their_title(terminal: bool) -> None:
    written = StringIO()
    console = Console(file=written, force_terminal=terminal, width=60, color_system=None)
    draw(console, rows_table("title", [("a", "1"), ("long name", "2")]))
    assert re.sub(r"\x1b\[\d*m", "", written.getvalue()).splitlines() == [
        "title",
        "  a          1",
        "  long name  2",
    ]


def shown(*blocks: Table, terminal: bool) -> list[str]:
    written = StringIO()
    draw(Console(file=written, force_terminal=terminal, width=80, color_system=None), *blocks)
    return re.sub(r"\x1b\[\d*m", "", written.getvalue()).removesuffix("\n").split("\n")
