"""What is stored comes as rows; what cannot be read or reached is an error that says where, why and what to do."""

from __future__ import annotations

import math
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet_sim.judging import stored
from fleet_sim.judging.grade import Alert
from fleet_sim.judging.stored import (
    InfluxPlace,
    StoredUnreachable,
    StoredUnreadable,
    WindowKey,
    alert_rows,
    history_from_command,
    history_from_file,
    influx_windows,
    window_rows,
)
from fleet_sim.ledger.expected import Facts
from tests.servers.process import free_port
from tests.sim.judging.answering_server import answering

WINDOW = {
    "device": "d", "metric": "m", "every": 5000, "start": 10_000,
    "count": 2, "sum": 3.0, "min": 1.0, "max": 2.0, "first": 1.0, "last": 2.0,
}  # fmt: skip
ALERT = {
    "id": "a",
    "rule": "Hot",
    "level": "critical",
    "state": "firing",
    "subject": "d",
    "at": 5,
    "event": "firing",
}
POINTS = b"""#datatype,string,long,dateTime:RFC3339,string,string,string,double
#group,false,false,false,true,true,true,false
#default,_result,,,,,,
,result,table,_time,_field,device,metric,_value
,,0,1970-01-01T00:00:10Z,count,d,m,2
,,0,1970-01-01T00:00:10Z,sum,d,m,3
,,0,1970-01-01T00:00:10Z,min,d,m,1
,,0,1970-01-01T00:00:10Z,max,d,m,2
,,0,1970-01-01T00:00:10Z,first,d,m,1
,,0,1970-01-01T00:00:10Z,last,d,m,2
,,0,1970-01-01T00:00:15Z,count,d,m,2
"""
FAILED = b"#datatype,string,string\n#group,true,true\n#default,,\n,error,reference\n,out of memory,897\n"
KEY, FACTS = WindowKey("d", "m", 5000, 10_000), Facts(2, 3.0, 1.0, 2.0, 1.0, 2.0)


def said(command: str) -> str:
    with pytest.raises(StoredUnreadable) as failed:
        history_from_command(command)
    return str(failed.value)


def python(code: str) -> str:
    return f"{sys.executable} -c '{code}'"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("printf '", "cannot run `printf '`: a quote or a backslash has no counterpart"),
        ("", "cannot run ``: it names no program"),
        (
            "/nonexistent/program x",
            "cannot run `/nonexistent/program x`: No such file or directory: /nonexistent/program",
        ),
        ("printf \\\\xff", "printf:1: not JSON: \\xff; was --json left out of the query?"),
        ("printf [1]", "printf:1: not a JSON object"),
    ],
)
def test_a_command_that_gives_no_history_says_why(command: str, why: str) -> None:
    assert said(command) == why


def test_a_command_that_fails_is_told_with_its_last_line() -> None:
    assert said(python('import sys; sys.exit("a\\nno such gateway")')).endswith(
        "ended with status 1: no such gateway"
    )
    assert said(python("import sys; sys.exit(2)")).endswith("ended with status 2: it said nothing")
    assert said(python("import os; os.kill(os.getpid(), 9)")).endswith(
        "was ended by signal 9: it said nothing"
    )


def test_a_command_that_reaches_nobody_or_takes_too_long_is_unreachable() -> None:
    with pytest.raises(StoredUnreachable, match="status 3: no gateway runs"):
        history_from_command(python('import sys; print("no gateway runs", file=sys.stderr); sys.exit(3)'))
    with pytest.raises(StoredUnreachable, match=r"took longer than 0\.2 s; run it by hand to see"):
        history_from_command(python("import time; time.sleep(60)"), within=0.2)


def test_a_file_that_gives_no_history_says_why(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    with pytest.raises(StoredUnreadable, match=f"cannot read {path}: No such file or directory"):
        history_from_file(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(StoredUnreadable, match="not UTF-8"):
        history_from_file(path)
    for text in ("[" * 100_000, '{"a": ' + "9" * 5_000 + "}"):
        path.write_text("\n\n" + text)
        with pytest.raises(StoredUnreadable, match=f"{path}:3: not JSON: .*…; was"):
            history_from_file(path)


def test_a_line_of_the_history_ends_at_a_line_feed_alone(tmp_path: Path) -> None:
    """A device's type may hold what Python takes for the end of a line."""
    told = tmp_path / "history.jsonl"
    told.write_text('{"type": "a\u2028b\x85c"}\n{"type": "d"}\n', encoding="utf-8")
    assert [row["type"] for row in history_from_file(told)] == ["a\u2028b\x85c", "d"]
    assert len(history_from_command(f"cat {told}")) == 2


def test_windows_are_indexed() -> None:
    assert window_rows([WINDOW]) == {KEY: FACTS}


def test_a_sum_that_json_cannot_hold_is_beyond_all_doubles() -> None:
    assert window_rows([WINDOW | {"sum": None}]) == {KEY: replace(FACTS, sum=math.inf)}


def test_the_later_revision_of_a_window_counts() -> None:
    rows = [WINDOW | {"revision": 1}, WINDOW | {"revision": 0, "count": 1}]
    assert window_rows(rows) == window_rows(rows[::-1]) == {KEY: FACTS}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"count": float("inf")}, "'count' is Infinity"),
        ({"revision": "x"}, "'revision' is \"x\""),
        ({"device": ["d"]}, "'device' is [\"d\"]"),
        ({"metric": None}, "'metric' is null"),
        ({"last": "much"}, "'last' is \"much\""),
    ],
)
def test_a_row_that_is_no_window_is_named_with_the_key_at_fault(changed: dict[str, Any], why: str) -> None:
    with pytest.raises(StoredUnreadable) as failed:
        window_rows([WINDOW, WINDOW | changed], "rows.jsonl")
    assert str(failed.value) == (
        f"rows.jsonl: row 2 is not a window row: {why}; give what `edge-gateway query windows --json` writes"
    )


def test_a_key_that_is_missing_is_said_to_be() -> None:
    with pytest.raises(StoredUnreadable, match="row 1 is not a window row: 'start' is missing"):
        window_rows([{name: value for name, value in WINDOW.items() if name != "start"}])


def test_alerts_are_read() -> None:
    assert alert_rows([ALERT | {"more": 1}]) == [Alert("a", "Hot", "critical", "firing", "d", 5, "firing")]
    assert [alert.metric for alert in alert_rows([ALERT | {"metric": each} for each in ("t", None)])] == [
        "t",
        None,
    ]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"level": "severe"}, "'level' is \"severe\""),
        ({"at": None}, "'at' is null"),
        ({"metric": 7}, "'metric' is 7"),
    ],
)
def test_a_row_that_is_no_alert_is_named_with_the_key_at_fault(changed: dict[str, Any], why: str) -> None:
    with pytest.raises(StoredUnreadable) as failed:
        alert_rows([ALERT | changed])
    assert str(failed.value) == (
        f"the history: row 1 is not an alert row: {why}; give what `edge-gateway query alerts --json` writes"
    )


def asked(url: str) -> dict[WindowKey, Facts]:
    return influx_windows(InfluxPlace(url, "fleet", "secret"), "b5s", 5000, 0, 20_000)


def test_windows_of_a_bucket_are_those_that_have_all_fields() -> None:
    with answering(200, POINTS) as url:
        assert asked(url) == {KEY: FACTS}
    without_sum = b"".join(line for line in POINTS.splitlines(keepends=True) if b",sum," not in line)
    with answering(200, without_sum) as url:
        assert asked(url) == {KEY: replace(FACTS, sum=math.inf)}
    with answering(200, b"") as url:
        assert asked(url) == {}


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (
            401, b'{"code": "unauthorized", "message": "unauthorized access"}',
            "with status 401: unauthorized access; INFLUX_TOKEN must hold a token that may read the bucket",
        ),
        (404, b"<html>not here</html>", "with status 404: <html>not here</html>; check --influx-url and --influx-org"),
        (400, b"", "with status 400: no text"),
        (200, FAILED, "the query of bucket b5s failed: out of memory"),
        (200, b"<html>hello</html>", "does not answer a query of bucket b5s as InfluxDB 2 does; check --influx-url"),
        (200, b"\xff\xfe", "does not answer a query of bucket b5s as InfluxDB 2 does; check --influx-url"),
        (200, POINTS.replace(b"1970", b"noon"), "does not answer a query"),
        (200, POINTS.replace(b"device", b"engine"), "does not answer a query"),
    ],
)  # fmt: skip
def test_a_database_that_refuses_or_is_another_says_why(status: int, body: bytes, why: str) -> None:
    with answering(status, body) as url, pytest.raises(StoredUnreadable) as failed:
        asked(url)
    text = str(failed.value)
    assert url in text
    assert why in text
    assert "secret" not in text


def test_a_database_that_is_overloaded_or_not_there_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        answering(503, b'{"message": "busy"}') as url,
        pytest.raises(StoredUnreachable, match="503: busy; try"),
    ):
        asked(url)
    nowhere = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(StoredUnreachable) as failed:
        asked(nowhere)
    assert str(failed.value) == (
        f"cannot reach InfluxDB at {nowhere}: Connection refused; is it running, and --influx-url right?"
    )
    with answering(200, b"") as url, pytest.raises(StoredUnreachable, match=r"https://127.*TLS failed"):
        asked(url.replace("http:", "https:"))
    monkeypatch.setattr(stored, "INFLUX_TIMEOUT", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        pytest.raises(StoredUnreachable, match="no answer in time"),
    ):
        asked(f"http://127.0.0.1:{mute.getsockname()[1]}")
