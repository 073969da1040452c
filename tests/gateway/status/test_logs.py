"""A log record is one line in every format, whatever devices wrote into it."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_gateway.status import logs
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.log_filters import RateLimit, RepeatFilter
from edge_gateway.status.logs import set_up_logs
from edge_gateway.status.problems import Problems
from fleet_console.log_lines import LONGEST_LINE

ROOT = Path(__file__).parents[3]
HOSTILE = "frz\x1b[2J\x1b]8;;http://evil\x07\n<0>forged: line\r\x9b31m\u2028\ud800[/red]"
SAFE = "frz\\x1b[2J\\x1b]8;;http://evil\\x07\\n<0>forged: line\\r\\x9b31m\\u2028\\ud800[/red]"


@pytest.fixture
def written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[[], str]]:
    """Gives what was logged since it was asked last, into what is no terminal; the handlers are put back."""
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    monkeypatch.setattr(logs, "RATE_LIMIT", RateLimit())
    monkeypatch.setattr(logs, "REPEATS", RepeatFilter())
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
    assert re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d", shown)


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
    problems.raise_(Problem.RULES, "a.yaml:1:1: no such key\nb.yaml:2:1: \x1b[2J")
    assert [line.partition(": ")[2] for line in written().splitlines()] == [
        "rules: the rules in force are kept: a.yaml:1:1: no such key",
        "rules: b.yaml:2:1: \\x1b[2J",
    ]
    assert (
        next(iter(problems)).text
        == "the rules in force are kept: a.yaml:1:1: no such key\nb.yaml:2:1: \\x1b[2J"
    )


def test_a_record_is_named_for_its_subject_wherever_the_code_stands() -> None:
    """Scripts select by these names: docs/operate.md lists them."""
    found = {
        name
        for path in (ROOT / "edge_gateway").rglob("*.py")
        for name in re.findall(r"getLogger\(([^)]*)\)", path.read_text())
    }
    subjects = {name.removeprefix('"edge_gateway.').removesuffix('"') for name in found - {'"mqtt"', ""}}
    (listed,) = re.findall(r"`edge_gateway\.` and one of ([^;]*);", (ROOT / "docs/operate.md").read_text())
    assert subjects == set(re.findall(r"`([a-z_]+)`", listed))


@pytest.mark.parametrize("form", ["auto", "text", "json"])
def test_a_service_does_not_load_what_draws_on_a_terminal(form: str) -> None:
    program = (
        f"import sys; from edge_gateway.status.logs import set_up_logs; set_up_logs('info', {form!r});"
        " print('rich' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
