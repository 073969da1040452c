"""Every table is drawn from every shape that the wire and the store can give: at 80 columns and into a pipe."""

import json
import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from edge_gateway.cli.status_table import status_view
from edge_gateway.cli.tables import (
    Blocks,
    alerts_table,
    cell,
    changes_table,
    config_table,
    devices_table,
    differences_view,
    findings_table,
    instant,
    removal_table,
    rows_table,
    rule_tests_view,
    spool_view,
)
from fleet_console.drawing import Line, draw

STYLES = re.compile(r"\x1b\[[0-9;]*m")
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
LONG = "frz-" + "0" * 60
AT = 1_790_000_000_123

HOSTILE = ["[/red]x", "[bold]x[/bold]", "[link=http://evil]y[/link]", "\x1b[2J\x1b]8;;http://evil\x07z", "a\nb\r\tc",
           "\u202eb\u2028c", "\ud800", "\x9b31m", "", LONG, "日" * 64, "x" * 70_000]  # fmt: skip
NUMBERS = [
    None,
    True,
    False,
    0,
    -1,
    2**64,
    -(2**63),
    1e308,
    -1e-308,
    math.nan,
    math.inf,
    -math.inf,
    0.1 + 0.2,
]
texts = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=64))
scalars = st.one_of(st.sampled_from(NUMBERS), texts)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
counts = st.integers(0, 2**63)


def drawn(blocks: Blocks, *, terminal: bool) -> list[str]:
    written = StringIO()
    draw(Console(file=written, force_terminal=terminal, width=80, color_system="standard"), *blocks)
    lines = STYLES.sub("", written.getvalue()).removesuffix("\n").split("\n")
    assert all(unicodedata.category(character) not in UNSEEN for line in lines for character in line)
    return lines


def looked_at(blocks: Blocks) -> list[str]:
    """The lines in a pipe; on a terminal none is wider than it."""
    assert all(cell_len(line) <= 80 for line in drawn(blocks, terminal=True))
    lines = drawn(blocks, terminal=False)
    rows = sum(1 if isinstance(block, Line) else len(block.rows) + bool(block.title) for block in blocks)
    headings = sum(any(block.columns) for block in blocks if not isinstance(block, Line))
    assert len(lines) == rows + headings
    return lines


# --- alerts

ALERT = {"id": "a1", "group": "g", "rule": "FreezerTooWarm", "level": "critical", "state": "firing",
         "subject": "frz-00042", "at": AT, "site": "berlin"}  # fmt: skip
WHOLE = {**ALERT, "metric": "temperature", "value": -9.91, "limit": -15.0, "boot": 1, "seq": 7,
         "labels": {"team": "cold"}, "annotations": {"summary": "too warm"}}  # fmt: skip


def test_an_alert_of_silence_of_a_condition_or_without_words_is_a_row() -> None:
    silence = {**ALERT, "rule": "Silent"}
    condition = {**WHOLE, "rule": "Pumping"}
    del condition["limit"]
    wordless = {**WHOLE, "rule": "Wordless", "annotations": {"runbook": "x"}}
    lines = looked_at(alerts_table([WHOLE, silence, condition, wordless]))
    assert re.split(r"  +", lines[1]) == ["2026-09-21 14:13:20Z", "critical", "FreezerTooWarm", "frz-00042", "berlin",
                                          "-9.91", "-15", "too warm"]  # fmt: skip
    assert re.split(r"  +", lines[2])[2:] == ["Silent", "frz-00042", "berlin", "–", "–"]
    assert re.split(r"  +", lines[3])[2:] == ["Pumping", "frz-00042", "berlin", "-9.91", "–", "too warm"]


def test_what_mutes_an_alert_is_a_column_if_anything_mutes_any() -> None:
    silenced = {**WHOLE, "suppressed": ["silence 3", "flapping"]}
    seen = {**WHOLE, "acked": True, "suppressed": []}
    ended = {**WHOLE, "state": "resolved"}
    lines = looked_at(alerts_table([WHOLE, silenced, seen, ended]))
    assert re.split(r"  +", lines[0])[-2:] == ["told", "summary"]
    assert [re.split(r"  +", line)[-2] for line in lines[1:]] == [
        "yes",
        "no: silence 3, flapping",
        "acknowledged",
        "ended",
    ]
    assert "told" not in looked_at(alerts_table([WHOLE]))[0]


def test_a_row_in_a_pipe_is_found_by_its_name() -> None:
    lines = looked_at(
        alerts_table([{**WHOLE, "subject": LONG, "annotations": {"summary": "warm " * 300}}, WHOLE])
    )
    (found,) = [line for line in lines if LONG in line]
    assert "warm warm" in found


@given(st.lists(st.fixed_dictionaries({name: st.just(value) for name, value in ALERT.items()}, optional={
    "value": scalars, "limit": scalars, "metric": texts, "labels": values, "boot": counts,
    "annotations": st.none() | st.dictionaries(st.just("summary"), texts),
}), max_size=3))  # fmt: skip
def test_alerts_of_every_shape(alerts: list[dict[str, Any]]) -> None:
    looked_at(alerts_table(alerts))


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["at", "level", "rule", "subject", "site", "value", "limit"]), scalars
        ),
        max_size=3,
    )
)
def test_alerts_of_any_values(alerts: list[dict[str, Any]]) -> None:
    looked_at(alerts_table(alerts))


# --- devices and rows of queries


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["device", "site", "type", "online", "last_seen"]), scalars),
        max_size=3,
    ),
    st.lists(counts),
)
def test_devices_of_every_shape(devices: list[dict[str, Any]], numbers: list[int]) -> None:
    pairs = list(pairwise(numbers))
    gaps = [(1, *pair) for pair in pairs]
    looked_at(
        devices_table([{**one, "gaps": gaps, "counters": {"received": 1, "new": None}} for one in devices])
    )
    looked_at(devices_table(devices))


def test_a_device_with_a_type_of_markup_is_shown_as_it_calls_itself() -> None:
    lines = looked_at(devices_table([{"device": LONG, "site": "berlin", "type": "[/red]x", "online": True}]))
    assert re.split(r"  +", lines[1])[:4] == [LONG, "berlin", "[/red]x", "yes"]


def test_all_that_is_wrong_with_a_device_is_told() -> None:
    troubles = ["its messages are JSON", "its clock says 1970"]
    lines = looked_at(
        devices_table([{"device": "f1", "site": "berlin", "troubles": troubles}, {"device": "f2"}])
    )
    assert [line.endswith("!") for line in lines[1:3]] == [True, False]
    assert lines[3:] == ["! berlin/f1: its messages are JSON", "! berlin/f1: its clock says 1970"]


QUERY_ROWS: dict[str, list[dict[str, Any]]] = {
    "windows": [{"device": LONG, "metric": "temperature", "site": "berlin", "type": "[/x]", "start": AT,
                 "every": 60_000, "count": 60, "sum": math.fsum([0.1] * 10), "min": -1e300, "max": 5.0,
                 "first": 0.0, "last": -0.0, "quality": 1.0, "revision": 0, "p95": None}],
    "states": [{"device": "d", "metric": "door", "site": "s", "type": "t", "start": AT, "every": 1000,
                "first": "open\x1b[2J", "last": "[/closed]", "changes": 3, "revision": 1}],
    "partial": [{"device": LONG, "metric": "temperature", "site": "berlin", "type": "[/x]", "start": AT,
                 "every": 5_000, "count": 3, "sum": None, "min": -1e300, "max": 5.0, "first": 0.0, "last": -0.0,
                 "quality": 1.0, "p95": None, "why": "lost"},
                {"device": "d", "metric": "door", "site": "s", "type": "t", "start": AT, "every": 5_000,
                 "first": "open\x1b[2J", "last": "[/closed]", "changes": 3, "why": "again"}],
    "late": [{"device": "d", "metric": "m", "site": "s", "type": "t", "at": AT, "value": 1.5, "quality": 0.5,
              "why": "late"},
             {"device": "d", "metric": "m", "site": "s", "type": "t", "at": AT, "value": "\x1b[31m", "why": "share"}],
    "alerts": [WHOLE, ALERT, {**ALERT, "value": "text", "limit": True, "was": None}],
    "commands": [{"id": "c", "n": None, "device": "d", "name": "boost", "args": {"[b]": "\n", "n": 1}, "state": "done",
                  "at": AT}],
    "quarantine": [{"id": 1, "at": AT, "topic": "fleet/v1/a/\u0001/telemetry", "reason": "\x1b[31m",
                    "payload": "ff" * 70_000, "text": None},
                   {"id": 2, "at": AT, "topic": "t", "reason": "r", "payload": "0a", "text": "\n"}],
}  # fmt: skip


@pytest.mark.parametrize("subject", QUERY_ROWS)
def test_rows_of_every_subject(subject: str) -> None:
    rows = QUERY_ROWS[subject]
    (head, *lines) = looked_at(rows_table(rows))
    assert len(lines) == len(rows)
    assert set(re.split(r"  +", head)) >= set(rows[0])


def test_fields_that_some_rows_leave_out_stay_under_their_headings() -> None:
    (head, short, whole) = looked_at(rows_table([ALERT, WHOLE]))
    at = head.index("limit")
    assert whole[at : at + 3] == "-15"
    assert short[at] == "–"


@given(st.lists(st.dictionaries(texts, values, max_size=5), max_size=3))
def test_rows_of_every_shape(rows: list[dict[str, Any]]) -> None:
    looked_at(rows_table(rows)) if any(rows) else rows_table(rows)


@given(values)
def test_a_cell_of_any_value_is_a_text(value: object) -> None:
    assert isinstance(cell(value), str)
    assert isinstance(instant(value), str)


def test_numbers_and_instants_are_short() -> None:
    shown = [cell(value) for value in (1234567, -0.30000000000000004, math.nan, True, None, {}, {"a": [1]})]
    assert shown == ["1,234,567", "-0.3", "nan", "yes", "–", "–", '{"a": [1]}']
    assert instant(AT) == "2026-09-21 14:13:20.123Z"
    assert instant(2**63) == f"{2**63:,}"
    assert instant(math.nan) == "nan"


# --- reports

STATUS = {
    "gateway": "gw", "state": "running", "version": "1", "rules": {"count": 3, "hash": "abc"}, "alerts": {"firing": 0},
    "fleet": {"devices": 1, "series": 2}, "messages": {"received": 1}, "values": {"values": 1},
    "gaps": {"messages": 5, "devices": 4, "ranges": [{"device": "[/x]\x1b", "boot": 1, "from": 0, "to": 2**62}] * 4},
    "broker": {"connected": True, "lag": None, "unacknowledged": 0},
    "clock": {"state": "outvoted", "trusted": False, "differ": 4, "off": -36_000_000},
    "spool": {"record": 1, "on_full": "stop"},
    "sinks": {"influx": {"waiting": {"lines": 0}, "problem": "[/x]\x1b[2J"}, "idle": {"waiting": {}}},
    "problems": [{"code": "rules", "text": "a.yaml:1:1: [/red]\nb.yaml:2:1: \x1b[2J", "gravity": "warning"},
                 {"code": "other", "text": "", "gravity": "unheard of"}],
}  # fmt: skip


SPOOL = {
    "path": "/spool/[/red]\n", "attempts": 0, "set_aside": [],
    "journal": {"first": None, "last": None, "records": 0, "bytes": 0, "torn_bytes": 0, "lost": []},
    "checkpoints": {"newest": None, "at": None}, "store": {"bytes": 0},
}  # fmt: skip
FULL_SPOOL = {
    **SPOOL, "journal": {"first": 1, "last": 9, "records": 9, "bytes": 9, "torn_bytes": 1, "lost": [[3, 4], (6, 6)]},
    "store": {"applied": None, "bytes": 5, "rows": {"window": 2}, "damage": "[/x] near \x1b\n",
              "outbox": {"influx": {"chunks": 1, "lines": 2, "bytes": 3, "oldest": AT}}},
    "set_aside": [{"name": "[/x].corrupt-1", "bytes": 1}],
}  # fmt: skip
TESTS = {"tests": [{"ok": False, "name": "[/red]", "file": "a.yaml", "line": 1, "failures": [
    {"file": "a.yaml", "line": 1, "column": 2, "message": "expected '[/x]'\nfound \x1b"}]}],
    "uncovered": ["[/y]"]}  # fmt: skip
REPORTS: list[tuple[Callable[[Any], Blocks], Mapping[str, Any] | Sequence[Any]]] = [
    (spool_view, SPOOL), (spool_view, FULL_SPOOL), (rule_tests_view, TESTS), (status_view, STATUS),
    (findings_table, [{"ok": True, "check": "a", "detail": "[/x]\n"}, {"ok": False, "check": LONG,
                                                                       "detail": "d " * 99}]),
    (changes_table, {"in_step": True, "changes": []}),
    (changes_table, {"in_step": False, "changes": [{"what": "new", "kind": "[/x]", "name": "\x1b",
                                                    "differs": ["[/x]"]}]}),
    (removal_table, {"removed": False, "changes": []}),
    (removal_table, {"removed": True, "changes": [{"what": "remove", "kind": "[/x]", "name": "\x1b",
                                                   "differs": ["[/x]"]}]}),
    (differences_view, []),
    (differences_view, [{"kind": "[/x]", "name": "\x1b", "part": "[/y]", "property": "p", "found": None,
                         "wanted": "[/z]\n\x1b"}]),
    (config_table, [("a", "[/x]", "f:1"), ("mqtt.url", "x" * 200, "default")]),
]  # fmt: skip


@pytest.mark.parametrize(("view", "facts"), REPORTS)
def test_reports_of_every_kind(view: Callable[[Any], Blocks], facts: Any) -> None:
    looked_at(view(facts))


def test_what_is_shown_is_json_elsewhere() -> None:
    assert json.loads(cell({"\x1b": "\u2028"})) == {"\x1b": "\u2028"}


def test_a_text_of_several_lines_is_one_cell() -> None:
    found = {
        "check": "problem rules",
        "ok": False,
        "detail": "a.yaml:1:1: odd\nb.yaml:2:1: odder",
        "gravity": None,
    }
    assert looked_at(findings_table([found]))[-1].endswith("a.yaml:1:1: odd; b.yaml:2:1: odder")
    alert = {**ALERT, "annotations": {"summary": "a.yaml:1:1: odd\nb.yaml:2:1: odder\n"}}
    assert looked_at(alerts_table([alert]))[-1].endswith("a.yaml:1:1: odd; b.yaml:2:1: odder")


def test_a_range_of_one_number_is_shown_as_that_number() -> None:
    (_, device) = looked_at(devices_table([{"device": "d", "gaps": [(1, 106, 106), (1, 108, 110)]}]))
    assert "106, 108–110" in device
    assert any(line.endswith("3–4, 6") for line in looked_at(spool_view(FULL_SPOOL)))
