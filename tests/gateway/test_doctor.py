"""What each check of the doctor finds, and what it advises."""

from __future__ import annotations

import asyncio
import errno
import os
import pwd
import re
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge_gateway import doctor
from edge_gateway.configuration.in_force import in_force
from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.doctor import CheckResult, check_gateway, check_settings, run_checks
from edge_gateway.journal import spool
from edge_gateway.journal.spool_owner import give_back
from edge_gateway.status.clock import MachineClock
from edge_gateway.status.problem import Gravity
from fleet_wire import local_socket
from tests.other_users import AS_ROOT, NOBODY, SOMEBODY, acting_as, open_to_all
from tests.servers.broker import Broker
from tests.servers.process import free_port


def settings(place: Path, **sections: Any) -> GatewayConfig:
    if not (place / "rules").exists():
        (place / "rules").mkdir()
        (place / "rules" / "none.yaml").write_text("version: 1\ngroups: []\n")
    return GatewayConfig.model_validate({
        "mqtt": {"url": "mqtt://127.0.0.1"},
        "spool": {"path": str(place / "not" / "yet")},
        "rules": {"path": str(place / "rules")},
        **sections,
    })  # fmt: skip


def found(place: Path, check: str, *, embedded: bool = True, **sections: Any) -> CheckResult:
    """Make one check: all of them would time a hundred syncs for each test."""
    return doctor._run(check, dict(doctor._checks(embedded=embedded))[check], settings(place, **sections))


@asynccontextmanager
async def running(place: Path, answer: Callable[[Mapping[str, Any]], Any]) -> AsyncIterator[None]:
    """A gateway's local socket, with this answer to every request."""

    async def handle(request: Mapping[str, Any]) -> Any:
        return answer(request)

    async with local_socket.serve(place / spool.SOCKET, handle):
        yield


async def test_the_problems_of_a_running_gateway_are_found_with_their_beginning(tmp_path: Path) -> None:
    problems = [
        {"code": "taken_over", "text": "another gateway uses this id", "since": 5, "gravity": "failure"},
        {"code": "device_clocks", "text": "the clock is wrong", "since": 6, "gravity": "warning"},
    ]
    report = {"gateway": "gw", "state": "online", "problems": problems}
    async with running(tmp_path, lambda _: report):
        found = await asyncio.to_thread(check_gateway, tmp_path)
    assert found == [
        CheckResult("gateway", ok=True, detail="gw is online, 2 problems"),
        CheckResult("problem taken_over", False, "another gateway uses this id", Gravity.FAILURE, 5),
        CheckResult("problem device_clocks", True, "the clock is wrong", Gravity.WARNING, 6),
    ]


async def test_a_gateway_that_is_starting_is_a_warning(tmp_path: Path) -> None:
    def starting(_: Mapping[str, Any]) -> Any:
        raise local_socket.RequestFailed("the gateway is starting: it is reading its spool")

    async with running(tmp_path, starting):
        (found,) = await asyncio.to_thread(check_gateway, tmp_path) or []
    assert (found.ok, found.gravity) == (True, Gravity.WARNING)
    assert "reading its spool" in found.detail


def test_where_no_gateway_runs_none_is_asked(tmp_path: Path) -> None:
    assert check_gateway(tmp_path) is None
    assert check_gateway(tmp_path / "not" / "yet") is None


async def test_a_section_added_since_the_gateway_started(tmp_path: Path) -> None:
    place = {"path": str(tmp_path)}
    before = settings(tmp_path, spool=place)
    after = settings(tmp_path, spool=place, influx={"url": "http://127.0.0.1", "org": "o", "token": "env:T"})
    async with running(tmp_path, lambda _: in_force(before)):
        same = await asyncio.to_thread(check_settings, before)
        found = await asyncio.to_thread(check_settings, after)
    assert same == CheckResult("settings", ok=True, detail="the gateway runs with them")
    told = "restart the gateway: influx changed since it started"
    assert found == CheckResult("settings", ok=False, detail=told)
    assert await asyncio.to_thread(check_settings, after) is None


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A server, in a thread, that gives every request this answer; its port."""
    ports: list[int] = []
    ready, stop = threading.Event(), threading.Event()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        writer.write(answer)
        writer.close()

    async def serve() -> None:
        async with await asyncio.start_server(client, "127.0.0.1", 0) as server:
            ports.append(server.sockets[0].getsockname()[1])
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(60)
    try:
        yield ports[0]
    finally:
        stop.set()
        thread.join(60)


@pytest.mark.parametrize("embedded", [True, False])
def test_every_check_is_made_in_order(tmp_path: Path, embedded: bool) -> None:
    checks = [one.check for one in run_checks(settings(tmp_path), embedded=embedded)]
    broker = [] if embedded else ["broker"]
    assert checks == ["clock", "spool", "owners", "sync", "secrets", "rules", *broker, "influx"]


# --- clock and disk


@pytest.mark.parametrize(
    ("synchronised", "detail"),
    [(True, "synchronised"), (False, "set, but nothing keeps it synchronised")],
)
def test_a_clock_that_is_set_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synchronised: bool, detail: str
) -> None:
    monkeypatch.setattr(doctor, "synchronised", lambda: synchronised)
    monkeypatch.setattr(MachineClock, "trusted", lambda _: True)
    assert found(tmp_path, "clock") == CheckResult("clock", ok=True, detail=detail)


def test_a_clock_before_2026_will_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MachineClock, "trusted", lambda _: False)
    clock = found(tmp_path, "clock")
    assert not clock.ok
    assert "enable time synchronisation" in clock.detail


def test_a_clock_that_the_running_gateway_doubts_will_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "synchronised", lambda: False)
    monkeypatch.setattr(MachineClock, "trusted", lambda _: True)
    report = {"clock": {"state": "outvoted"}, "problems": [{"code": "clock", "text": "10h behind the fleet"}]}
    monkeypatch.setattr(doctor, "_ask_running", lambda *_: report)
    clock = found(tmp_path, "clock")
    assert not clock.ok
    assert clock.detail.startswith("10h behind the fleet; set it")


def test_a_clock_that_the_fleet_agrees_with_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "synchronised", lambda: False)
    monkeypatch.setattr(MachineClock, "trusted", lambda _: True)
    for clock, why in (
        ({"state": "agreed", "agree": 60}, "agreed: 60 devices said the same time"),
        ({"state": "confirmed"}, "confirmed: by the operator or the kernel, and not set since"),
        ({"state": "plausible"}, "plausible: nothing speaks against it"),
    ):
        monkeypatch.setattr(doctor, "_ask_running", lambda *_, clock=clock: {"clock": clock, "problems": []})
        assert found(tmp_path, "clock").detail == f"set, but nothing keeps it synchronised; {why}"


def test_a_spool_that_does_not_exist_yet_is_judged_by_the_directory_above(tmp_path: Path) -> None:
    spool = found(tmp_path, "spool")
    assert (
        spool.ok,
        spool.detail.endswith(f"free for {tmp_path / 'not' / 'yet'}, which the first start makes"),
    ) == (True, True)
    assert not (tmp_path / "not").exists()


def test_a_disk_that_cannot_be_written_is_named_without_an_error_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "tmp1"))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert found(tmp_path, "sync").detail == f"cannot write to {tmp_path}: Permission denied"


@AS_ROOT
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_what_only_the_owner_of_a_spool_can_check_is_left_to_that_user(tmp_path: Path, mode: int) -> None:
    """As somebody who operates a gateway with a user of its own: nothing is wrong."""
    place = tmp_path / "spool"
    place.mkdir()
    os.chown(place, NOBODY, NOBODY)
    open_to_all(tmp_path)
    place.chmod(mode)
    sections: dict[str, Any] = {
        "spool": {"path": str(place), "max_bytes": "16MiB"},
        "history": {"max_bytes": "16MiB"},
    }
    found(tmp_path, "spool", **sections)
    with acting_as(SOMEBODY):
        results = [found(tmp_path, check, **sections) for check in ("spool", "sync")]
        asked = check_gateway(place) or []
    owner = pwd.getpwuid(NOBODY).pw_name
    for result in (*results, *asked):
        assert (result.ok, result.gravity) == (True, Gravity.NOTICE)
        assert f"{place} belongs to {owner}; the same command after `sudo -u {owner}` checks" in result.detail
    assert len(asked) == (mode == 0o700), "whether a gateway runs can be seen in a directory that is open"


@AS_ROOT
def test_files_that_root_left_in_the_spool_are_named_with_what_mends_it(tmp_path: Path) -> None:
    place = tmp_path / "spool"
    place.mkdir()
    os.chown(place, NOBODY, NOBODY)
    owner = pwd.getpwuid(NOBODY).pw_name
    sections: dict[str, Any] = {"spool": {"path": str(place)}}
    assert found(tmp_path, "owners").detail == "there is no spool yet"
    assert found(tmp_path, "owners", **sections).detail == f"everything in {place} belongs to {owner}"
    for number in range(7):
        (place / f"file-{number}").touch()
    told = found(tmp_path, "owners", **sections)
    assert not told.ok
    assert f"belongs to {owner}, but not all in it: {place}/file-0 (root), " in told.detail
    assert "file-4 (root) and 2 more" in told.detail
    assert (
        f"Run `{give_back(place)}`, and commands as that user: `sudo -u {owner} edge-gateway …`"
        in told.detail
    )
    (tmp_path / "rules").chmod(0o755)
    place.chmod(0o700)
    open_to_all(tmp_path)
    with acting_as(SOMEBODY):
        left = found(tmp_path, "owners", **sections)
    assert (left.ok, left.gravity) == (True, Gravity.NOTICE)
    assert "checks the files in it" in left.detail


@AS_ROOT
def test_too_little_room_is_found_by_every_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100 << 20))
    open_to_all(tmp_path)
    (tmp_path / "rules").mkdir()
    with acting_as(SOMEBODY):
        assert "100 MiB free" in found(tmp_path, "spool", spool={"path": str(tmp_path)}).detail


def test_a_directory_above_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_gateway.journal.spool_owner.may_write", lambda _: False)
    spool = found(tmp_path, "spool")
    assert not spool.ok
    assert f"{tmp_path} is not writable by this user" in spool.detail


def test_a_disk_that_is_smaller_than_the_budgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100 << 20))
    place = {"path": str(tmp_path), "max_bytes": "256MiB"}
    spool = found(tmp_path, "spool", spool=place, history={"max_bytes": "128MiB"})
    assert not spool.ok
    assert spool.detail.startswith(f"100 MiB free at {tmp_path}, but ")
    assert "spool.max_bytes, history.max_bytes and a reserve add up to 480 MiB" in spool.detail


def test_what_waits_for_influxdb_is_a_budget_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100 << 20))
    sections: dict[str, Any] = {
        "spool": {"path": str(tmp_path), "max_bytes": "64MiB"},
        "history": {"max_bytes": "64MiB"},
    }
    database = {"url": "http://x", "org": "o", "token": "env:T", "max_bytes": "512MiB"}
    spool = found(tmp_path, "spool", influx=database, **sections)
    assert "history.max_bytes, influx.max_bytes and a reserve add up to 736 MiB" in spool.detail


def test_what_the_spool_holds_already_needs_no_further_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=448 << 20))
    sections: dict[str, Any] = {
        "spool": {"path": str(tmp_path), "max_bytes": "256MiB"},
        "history": {"max_bytes": "128MiB"},
    }
    short = found(tmp_path, "spool", **sections)
    assert (short.ok, "of which the spool holds 0 MiB" in short.detail) == (False, True)
    (tmp_path / "journal").mkdir()
    segment = tmp_path / "journal" / "1"
    segment.touch()
    os.truncate(segment, 32 << 20)
    assert found(tmp_path, "spool", **sections).ok


def told(place: Path, interval: str) -> re.Match[str]:
    detail = found(place, "sync", spool={"path": str(place), "commit_interval": interval}).detail
    text = re.search(r"median ([\d.]+) ms, p99 ([\d.]+) ms of 100; commits write at most ([\d.]+) GB", detail)
    assert text, detail
    return text


def test_the_time_of_a_sync_and_what_a_day_of_commits_writes(tmp_path: Path) -> None:
    often, seldom = told(tmp_path, "50ms"), told(tmp_path, "1s")
    assert float(often[1]) <= float(often[2])
    assert (float(often[3]), float(seldom[3])) == (7.5, 0.8)


def test_a_slow_disk_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SLOW_SYNC_MS", 0.0)
    sync = found(tmp_path, "sync")
    assert not sync.ok
    assert sync.detail.startswith("slow: median ")
    assert "use faster storage, or a longer spool.commit_interval" in sync.detail


# --- files


@pytest.mark.parametrize(("count", "detail"), [(1, "1 rule, good"), (2, "2 rules, good")])
def test_rules_are_counted(tmp_path: Path, count: int, detail: str) -> None:
    (tmp_path / "rules").mkdir()
    rules = "version: 1\ngroups: [{name: %d, rules: [{alert: %d, expr: x, above: 1}]}]\n"
    for number in range(count):
        (tmp_path / "rules" / f"{number}.yaml").write_text(rules.replace("%d", f"g{number}"))
    assert found(tmp_path, "rules") == CheckResult("rules", ok=True, detail=detail)


def test_a_secret_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "password"
    mqtt = {"url": "mqtt://127.0.0.1", "user": "gw", "password": f"file:{missing}"}
    assert str(missing) in found(tmp_path, "secrets", mqtt=mqtt).detail
    missing.write_text("secret")
    assert found(tmp_path, "secrets", mqtt=mqtt) == CheckResult("secrets", ok=True, detail="readable")


# --- servers


def test_a_broker_that_takes_the_gateway(tmp_path: Path, broker: Broker) -> None:
    checked = found(tmp_path, "broker", embedded=False, mqtt={"url": broker.url})
    assert checked.ok, checked
    assert checked.detail.startswith(f"{broker.url} accepts the gateway, and ")


def test_a_broker_that_is_not_there_is_named_once(tmp_path: Path) -> None:
    url = f"mqtt://127.0.0.1:{free_port()}"
    checked = found(tmp_path, "broker", embedded=False, mqtt={"url": url})
    told = f"cannot reach {url}: Connection refused; is it running, and mqtt.url right?"
    assert checked == CheckResult("broker", ok=False, detail=told)


def test_something_else_at_the_brokers_port(tmp_path: Path) -> None:
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        checked = found(tmp_path, "broker", embedded=False, mqtt={"url": f"mqtt://127.0.0.1:{port}"})
    assert not checked.ok
    assert "is a web server, not an MQTT broker: check the port" in checked.detail


def influx(place: Path, url: str) -> CheckResult:
    (place / "token").write_text("secret")
    section = {"url": url, "org": "fleet", "token": f"file:{place / 'token'}"}
    windows = [{"every": "1m", "bucket": "one", "keep": "1d"}, {"every": "1h", "bucket": "two", "keep": "1d"}]
    return found(place, "influx", influx=section, windows=windows)


def test_an_influxdb_that_takes_lines_for_every_bucket(tmp_path: Path) -> None:
    with answering(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n") as port:
        url = f"http://127.0.0.1:{port}"
        assert influx(tmp_path, url) == CheckResult(
            "influx", ok=True, detail=f"{url} accepts writes to one, two"
        )


def test_an_influxdb_that_is_not_there_in_words_that_are_not_pythons(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert influx(tmp_path, url) == CheckResult(
        "influx",
        ok=False,
        detail=f"{url}: cannot connect: Connection refused; is InfluxDB running, and influx.url right?",
    )


def test_without_influxdb_there_is_the_history(tmp_path: Path) -> None:
    assert found(tmp_path, "influx") == CheckResult("influx", ok=True, detail="not configured: history only")
