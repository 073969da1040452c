"""Results go to standard output, complaints to standard error; nothing of a text is obeyed."""

import pytest

from fleet_console.drawing import Table
from fleet_console.terminal import complain, say, say_json


def test_lines_and_tables_are_results(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(("name", "value"))
    table.add("a", 1)
    say("first", table)
    shown = capsys.readouterr()
    assert (shown.out.split(), shown.err) == (["first", "name", "value", "a", "1"], "")


def test_json_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"a": "b\nc"})
    assert capsys.readouterr().out == '{"a": "b\\nc"}\n'


def test_complaints_are_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    complain("a.yaml:1:2: \x1b[2J", "x" * 300)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "a.yaml:1:2: \\x1b[2J\n" + "x" * 300 + "\n")
