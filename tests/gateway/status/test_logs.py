"""The log does not flood: what is left out is counted and told."""

from __future__ import annotations

import json
import logging
import os
import pty
import sys
from collections.abc import Callable, Iterator

import pytest

from edge_gateway.status import logs
from edge_gateway.status.logs import MOST_AT_ONCE, PER_SECOND, Flood, set_up_logs
from edge_gateway.status.problems import Gravity, Problems
from edge_gateway.status.repeats import Repeats
from fleet_wire.log_lines import LONGEST_LINE
from tests.fakes import ManualClock


def record(text: str, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("gateway", level, __file__, 1, "%s", (text,), None)


def test_a_burst_passes_and_a_flood_does_not() -> None:
    clock = ManualClock(0.0)
    flood = Flood(clock=clock)
    passed = [flood(record(f"{n}")) for n in range(MOST_AT_ONCE + 7)]
    assert passed == [True] * MOST_AT_ONCE + [False] * 7
    assert flood.left_out == 7
    clock.now += 1.0 / PER_SECOND
    after = record("after")
    assert flood(after)
    assert after.getMessage() == "after (7 lines before were left out)"
    assert not flood(record("again"))
    assert flood.left_out == 8


def test_errors_are_always_written() -> None:
    flood = Flood(clock=lambda: 0.0)
    for n in range(MOST_AT_ONCE):
        flood(record(f"{n}"))
    assert not flood(record("warned"))
    failed = record("100 % failed", logging.ERROR)
    assert flood(failed)
    assert failed.getMessage() == "100 % failed (1 lines before were left out)"


HOSTILE = "frz\x1b[2J\x1b]8;;http://evil\x07\n<0>forged: line\r\x9b31m\u2028\ud800[/red]"
SAFE = "frz\\x1b[2J\\x1b]8;;http://evil\\x07\\n<0>forged: line\\r\\x9b31m\\u2028\\ud800[/red]"


@pytest.fixture
def written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[[], str]]:
    """Gives what was logged since it was asked last, into what is no terminal; the handlers are put back."""
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    monkeypatch.setattr(logs, "FLOOD", Flood())
    monkeypatch.setattr(logs, "REPEATS", Repeats())
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield lambda: capsys.readouterr().err
    root.handlers[:] = handlers
    root.setLevel(level)


def say(form: str, text: str = HOSTILE) -> None:
    set_up_logs("info", form)  # type: ignore[arg-type]
    logging.getLogger("gateway").warning("heard %s", text)


def test_a_plain_record_is_one_line(written: Callable[[], str]) -> None:
    say("text")
    text = written()
    assert text.endswith(f" WARNING gateway: heard {SAFE}\n")
    assert text.count("\n") == 1


def test_a_record_for_the_journal_is_one_line(
    written: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    say("auto")
    assert written() == f"<4>gateway: heard {SAFE}\n"


def test_a_record_as_json_is_one_line_and_exact(written: Callable[[], str]) -> None:
    say("json")
    text = written()
    assert text.removesuffix("\n").isprintable()
    told = json.loads(text)
    assert (told["text"], told["level"], told["name"]) == (f"heard {HOSTILE}", "warning", "gateway")


def test_a_record_on_a_terminal_obeys_nothing(
    written: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "dumb")
        say("auto")
        terminal.flush()
        shown = os.read(ours, 65_536).decode()
    os.close(ours)
    assert SAFE.replace(" ", "") in "".join(shown.split())
    assert "\x1b" not in shown


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_error_is_told_in_the_line_and_leaves_no_traceback(written: Callable[[], str], form: str) -> None:
    set_up_logs("info", form)  # type: ignore[arg-type]
    try:
        int("two\nlines\x1b")
    except ValueError:
        logging.getLogger("gateway").exception("a request failed")
    text = written()
    assert "Traceback" not in text
    assert text.count("\n") == 1
    assert "a request failed: ValueError: invalid literal" in text
    assert "test_logs.py:" in text


def test_a_record_is_bounded(written: Callable[[], str]) -> None:
    say("text", "x" * 100_000)
    say("json", "x" * 100_000)
    assert all(len(line) < LONGEST_LINE + 200 for line in written().splitlines())


def test_a_problem_of_several_lines_is_several_records(written: Callable[[], str]) -> None:
    set_up_logs("info", "text")
    problems = Problems(clock=lambda: 0)
    problems.raise_("rules", "a.yaml:1:1: no such key\nb.yaml:2:1: \x1b[2J", Gravity.WARNING)
    assert [line.partition(": ")[2] for line in written().splitlines()] == [
        "rules: a.yaml:1:1: no such key",
        "rules: b.yaml:2:1: \\x1b[2J",
    ]
    assert problems.as_list()[0]["text"] == "a.yaml:1:1: no such key\nb.yaml:2:1: \\x1b[2J"
