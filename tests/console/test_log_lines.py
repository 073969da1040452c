"""A log record is one line, whatever somebody wrote into it."""

import logging
import sys
import time

import pytest

from fleet_console.log_lines import LONGEST_LINE, TextLines, in_a_line, said


def record(text: str, *values: object, error: BaseException | None = None) -> logging.LogRecord:
    trace = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord("fleet", logging.WARNING, __file__, 1, text, values, trace)


def test_a_record_has_its_text_with_its_values() -> None:
    assert said(record("%s of %d", "a", 3)) == "a of 3"


def test_an_error_is_shown_with_its_origin_instead_of_a_traceback() -> None:
    try:
        dict[str, int]()["bad"]
    except KeyError as error:
        line = sys.exc_info()[2].tb_lineno  # type: ignore[union-attr]
        text = said(record("failed", error=error))
    assert text == f"failed: KeyError: 'bad' (at {__file__}:{line})"


def test_an_error_that_was_never_raised_has_no_origin() -> None:
    assert said(record("failed", error=ValueError("bad"))) == "failed: ValueError: bad"


def test_a_line_has_no_control_characters_and_a_maximum_length() -> None:
    text = in_a_line(record("%s", "\x1b[2J\n" + "x" * LONGEST_LINE))
    assert text.startswith(r"\x1b[2J\n")
    assert len(text) == LONGEST_LINE


def test_the_fields_of_a_format_are_filled() -> None:
    assert TextLines("%(levelname)s %(message)s").format(record("a\nb")) == r"WARNING a\nb"
    assert TextLines("%(asctime)s %(message)s").format(record("a")).endswith(" a")


@pytest.mark.parametrize(
    ("zone", "said"), [("UTC", "2026-12-02T12:00:00.250+00:00"), ("EST5", "2026-12-02T07:00:00.250-05:00")]
)
def test_times_are_iso_8601_with_the_zone(monkeypatch: pytest.MonkeyPatch, zone: str, said: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        line = record("a")
        line.created = 1_796_212_800.25
        assert TextLines("%(asctime)s %(message)s").format(line) == f"{said} a"
    finally:
        monkeypatch.undo()
        time.tzset()
