"""The demo's text on terminals of any width, and in a pipe."""

from __future__ import annotations

import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from fleet_console.drawing import draw
from fleet_demo.judge import _surviving
from fleet_demo.narrator import Narrator, result_table
from fleet_demo.playing import tell_next
from fleet_demo.story import Told

TEXT = (
    "frz-00007 is back, live readings first, then its buffer: all its 30 messages are stored, 9 readings late"
)
ROWS = [("every acknowledged number is stored", "58,840 acknowledged, lost 0; states have no windows", True)]
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def console(width: int, *, terminal: bool = True) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=terminal, width=width, highlight=False, markup=False), out


def lines(out: io.StringIO) -> list[str]:
    return [line.rstrip() for line in ESCAPES.sub("", out.getvalue()).splitlines()]


def story(influx: Any = None) -> Any:
    return cast(
        "Any", SimpleNamespace(gateway=SimpleNamespace(config=Path(".demo/gateway.yaml")), influx=influx)
    )


@pytest.mark.parametrize("width", [60, 80, 120])
def test_an_event_wraps_between_words_beside_its_time(width: int) -> None:
    screen, out = console(width)
    narrator = Narrator(screen)
    narrator.tell("broker up")
    narrator.begin()
    narrator.tell(TEXT, "green")
    narrator.add(TEXT)
    first, *told = lines(out)
    assert first == "        broker up", "the clock starts with the story"
    assert told[0].startswith("   0 s  frz-00007")
    assert all(line.startswith(" " * 8) for line in told[1:])
    assert max(map(len, told)) <= width
    assert " ".join(line[8:] for line in told) == f"{TEXT} {TEXT}"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_chart_and_the_table_fit(width: int) -> None:
    screen, out = console(width)
    narrator = Narrator(screen)
    narrator.chart([-18.0] * 80, -10.0, title=TEXT)
    draw(screen, result_table(ROWS))
    drawn = lines(out)
    assert max(map(len, drawn)) <= width
    charted = [line for line in drawn if "│" in line]
    assert {line.count("│") for line in charted} == {2}
    assert " ".join(" ".join(drawn).split()).endswith(f"true {ROWS[0][0]} {ROWS[0][1]}")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_what_to_try_next_can_be_copied(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(Path(".venv/bin/python").absolute()))
    screen, out = console(width)
    tell_next(screen, story(), 0)
    said = lines(out)
    command = "  .venv/bin/edge-gateway query alerts -c .demo/gateway.yaml"
    assert [line for line in said if line.startswith(command)]
    assert max(map(len, said)) <= width


def test_a_demo_that_stays_is_not_told_to_stay() -> None:
    for keep in (False, True):
        screen, out = console(120)
        tell_next(screen, story(), 0, keep=keep)
        assert ("./demo --keep" in "".join(lines(out))) is not keep


def test_the_time_of_the_recovery_says_what_it_measures() -> None:
    told = Told(
        recovered_ms=3677,
        caught_up_s=13.6,
        caught_up=1500,
        ids_before=frozenset("a"),
        ids_after=frozenset("a"),
    )
    row = _surviving(cast("Any", SimpleNamespace(told=told)))[0]
    assert row.found.startswith(
        "1,500 messages caught up 14 s after the kill, 3.7 s of them to read the journal again"
    )


class Pipe(io.StringIO):
    """Holds what is written back until it is flushed."""

    arrived = ""

    def flush(self) -> None:
        self.arrived = self.getvalue()


def test_in_a_pipe_an_event_arrives_when_it_happens() -> None:
    pipe = Pipe()
    Narrator(Console(file=pipe, force_terminal=False)).tell("broker up")
    assert pipe.arrived == "        broker up\n"


def test_in_a_pipe_an_event_is_a_line() -> None:
    screen, out = console(60, terminal=False)
    narrator = Narrator(screen)
    narrator.begin()
    narrator.tell(TEXT, "green")
    draw(screen, result_table(ROWS))
    assert out.getvalue().splitlines() == [f"   0 s  {TEXT}", f"true  {ROWS[0][0]}  {ROWS[0][1]}"]
