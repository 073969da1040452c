"""`status`, `alerts`, `devices` and `query`: which request is sent, and how its answer is printed."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from edge_gateway.cli import inspect, main
from edge_gateway.journal import checkpoint
from edge_gateway.journal.spool import CHECKPOINTS, SOCKET
from edge_gateway.recovery import checkpoint_view
from edge_gateway.store import schema
from fleet_wire import local_socket
from tests.gateway.store.fleet import SETTINGS, T0, closed, named
from tests.gateway.store.stored import opened

NOW = 1_790_000_000_000


class Answers:
    """Stands in for a running gateway: keeps the requests, gives the answer."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.requests: list[dict[str, Any]] = []

    def __call__(self, _: object, request: dict[str, Any], __: Path | None) -> Any:
        self.requests.append(request)
        return self.answer


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.yaml"
    path.write_text("mqtt: {url: mqtt://localhost}\nspool: {path: spool}\n")
    return path


def run(file: Path, *arguments: str) -> object:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--config", str(file)])
    return ended.value.code


def test_the_help_of_a_query_breaks_no_subject(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["query", "--help"])
    arguments = capsys.readouterr().out.partition("Arguments")[2].partition("Options")[0]
    words = re.findall(r"[a-z]+", arguments.replace("One of", ""))
    assert set(words) - {"str", "required"} == set(inspect.Subject)


@pytest.mark.parametrize(
    ("arguments", "request_sent"),
    [
        (["status"], {"do": "status"}),
        (["alerts"], {"do": "alerts"}),
        (["devices"], {"do": "devices", "device": None}),
        (["devices", "d1"], {"do": "devices", "device": "d1"}),
        (["devices", "show", "d1"], {"do": "devices", "device": "d1"}),
        (["devices", "forget", "d1"], {"do": "forget", "device": "d1", "metric": None}),
        (["devices", "forget", "d1", "temp"], {"do": "forget", "device": "d1", "metric": "temp"}),
    ],
)
def test_a_command_sends_its_request_and_prints_the_answer_as_json(
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    request_sent: dict[str, Any],
) -> None:
    gateway = Answers([{"device": "d1"}])
    monkeypatch.setattr(inspect, "ask", gateway)
    assert run(file, *arguments, "--json") == 0
    assert gateway.requests == [request_sent]
    assert json.loads(capsys.readouterr().out) == gateway.answer


def test_a_subject_that_is_not_there_is_told_the_known_ones(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(file, "query", "wndows") == 2
    told = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "'wndows' is not one of last, windows, states" in told
    assert "did you mean 'windows'?" in told
    assert "Value error" not in told


def test_a_device_that_is_not_known_is_an_error(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(inspect, "ask", Answers([]))
    assert run(file, "devices", "d9") == 2
    assert "no device 'd9' is known here" in capsys.readouterr().err
    assert run(file, "devices") == 0
    assert "no device is known yet" in capsys.readouterr().out


@pytest.mark.parametrize("command", [["devices", "d9"], ["devices", "forget", "d9"]])
async def test_an_unknown_device_has_one_exit_status(file: Path, command: list[str]) -> None:
    """A gateway that refuses and one that has nothing to show: both times the name is wrong."""

    async def answer(request: dict[str, Any]) -> list[Any]:
        if request["do"] == "forget":
            raise ValueError("no device 'd9' is known here")
        return []

    place = file.parent / "spool"
    place.mkdir()
    async with local_socket.serve(place / SOCKET, answer):
        assert await asyncio.to_thread(run, file, *command) == 2


@pytest.mark.parametrize(
    ("text", "at"),
    [
        (None, None),
        ("90s", NOW - 90_000),
        ("1767225600000", 1_767_225_600_000),
        ("2026-01-01", 1_767_225_600_000),
        ("2026-01-01T01:00+01:00", 1_767_225_600_000),
    ],
)
def test_a_time_is_a_duration_before_now_a_date_or_milliseconds(text: str | None, at: int | None) -> None:
    assert inspect.instant_of(text, NOW, "--since") == at


def test_only_windows_of_a_configured_length_can_be_chosen(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(file, "query", "windows", "--every", "7m") == 2
    assert "no window is 7m long in this configuration, only 1m, 10m, 1h" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("subject", "status"), [("last", 2), ("windows", 2), ("states", 2), ("partial", 0), ("late", 0)]
)
def test_a_metric_that_was_never_stored_is_told_with_a_hint(
    file: Path, capsys: pytest.CaptureFixture[str], subject: str, status: int
) -> None:
    """What no window takes may come before the first window, so there it is no error."""
    store = opened(file.parent / "spool", SETTINGS)
    assert run(file, "query", subject, "--metric", "temprature") == 0
    store.apply([(1, [named(range(1), windows=(closed(0, [(0, T0, 1.0)]),))])])
    assert run(file, "query", subject, "--metric", "temperature") == 0
    capsys.readouterr()
    assert run(file, "query", subject, "--metric", "temprature") == status
    told = "no metric 'temprature' is stored here; did you mean 'temperature'?\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize(("since", "until"), [("1h", "2h"), ("2026-01-02", "2026-01-01"), ("5", "5")])
def test_a_span_that_ends_before_it_begins_is_refused(
    file: Path, capsys: pytest.CaptureFixture[str], since: str, until: str
) -> None:
    assert run(file, "query", "windows", "--since", since, "--until", until) == 2
    assert "--since must be earlier" in " ".join(capsys.readouterr().err.replace("│", "").split())


def test_a_limit_holds_for_devices_too(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ({"device": f"d{number}"} for number in range(5))
    monkeypatch.setattr(checkpoint_view, "devices_in_checkpoint", lambda *_: rows)
    assert run(file, "query", "devices", "--limit", "2", "--json") == 0
    assert capsys.readouterr().out.split("\n") == ['{"device": "d0"}', '{"device": "d1"}', ""]


def test_devices_are_listed_by_site_and_name_with_numbers_by_value(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [
        ("b", "frz-2"),
        ("b", "frz-10"),
        ("a", "frz-3"),
        ("a", "frz"),
        ("a", "x1y2"),
        ("a", "x1y10"),
        ("a", "7"),
    ]
    shuffled = [{"site": site, "device": name} for site, name in reversed(names)]
    monkeypatch.setattr(inspect, "ask", Answers(shuffled))
    monkeypatch.setattr(checkpoint_view, "devices_in_checkpoint", lambda *_: iter(shuffled))
    expected = [
        ("a", "7"),
        ("a", "frz"),
        ("a", "frz-3"),
        ("a", "x1y2"),
        ("a", "x1y10"),
        ("b", "frz-2"),
        ("b", "frz-10"),
    ]
    run(file, "devices", "--json")
    assert [(one["site"], one["device"]) for one in json.loads(capsys.readouterr().out)] == expected
    run(file, "query", "devices", "--json")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["site"], one["device"]) for one in lines] == expected


@pytest.mark.parametrize(
    ("subject", "status"), [("last", 2), ("windows", 2), ("states", 2), ("alerts", 0), ("commands", 0)]
)
def test_a_device_of_which_nothing_is_stored_is_told_with_a_hint(
    file: Path, capsys: pytest.CaptureFixture[str], subject: str, status: int
) -> None:
    """Alerts and commands may come before the first window, so there it is no error."""
    store = opened(file.parent / "spool", SETTINGS)
    assert run(file, "query", subject, "--device", "dev-0") == 0, "nobody is known yet"
    store.apply([(1, [named(range(7), windows=(closed(0, [(0, T0, 1.0)]),))])])
    capsys.readouterr()
    assert run(file, "query", subject, "--device", "dev-6") == 0, "it is known, and there is nothing of it"
    assert run(file, "query", subject, "--device", "dve-0") == status
    assert capsys.readouterr().err == "the history has nothing of a device 'dve-0'; did you mean 'dev-0'?\n"
    assert run(file, "query", subject, "--device", "freezer") == status
    known = "dev-0, dev-1, dev-2, dev-3, dev-4 and 2 more"
    assert capsys.readouterr().err == f"the history has nothing of a device 'freezer'; known: {known}\n"


def test_an_unknown_device_of_a_gateway_gets_a_hint_too(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(_: object, request: dict[str, Any], __: Path | None) -> list[dict[str, Any]]:
        return [{"site": "a", "device": "frz-1"}] if request["device"] is None else []

    monkeypatch.setattr(inspect, "ask", answer)
    monkeypatch.setattr(checkpoint_view, "devices_in_checkpoint", lambda *_: iter([{"device": "frz-1"}]))
    for command in (["devices", "frz1"], ["query", "devices", "--device", "frz1"]):
        assert run(file, *command) == 2
        assert capsys.readouterr().err == "no device 'frz1' is known here; did you mean 'frz-1'?\n"


@pytest.mark.parametrize("what", ["windows", "devices"])
def test_a_spool_of_another_version_is_not_said_to_be_damaged(
    file: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spool = file.parent / "spool"
    spool.mkdir()
    with pytest.MonkeyPatch.context() as older:
        older.setattr(schema, "VERSION", schema.VERSION - 1)
        older.setattr(checkpoint, "FORMAT", checkpoint.FORMAT - 1)
        opened(spool).close()
        checkpoint.write_checkpoint(spool / CHECKPOINTS, 1, {"n": 1})
    assert run(file, "query", what) == 2
    said = capsys.readouterr().err
    assert "was written by an older edge-gateway" in said
    assert "start that version again" in said


@pytest.mark.parametrize("command", [("query", "windows"), ("query", "devices"), ("spool", "inspect")])
def test_a_spool_that_is_a_file_is_said_to_be_one(
    file: Path, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    (file.parent / "spool").write_text("")
    assert run(file, *command) == 2
    assert f"spool.path is {file.parent / 'spool'}, which is no directory" in capsys.readouterr().err
