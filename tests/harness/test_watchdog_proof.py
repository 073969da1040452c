"""The proof of the watchdog: how it plays the service manager, and what it counts."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any, cast

import pytest

from tests.proofs import watchdog
from tests.proofs.ground.service import Service, Told
from tests.proofs.watchdog import DEADLINE, Case
from tests.servers.process import wait_until


def test_a_start_has_its_time_and_what_it_asks_for_in_addition() -> None:
    told = Told(started=100.0, ready_within=10.0)
    assert not told.late(110.0, deadline=2.0)
    assert told.late(110.1, deadline=2.0)
    told.hear("WATCHDOG=1\nEXTEND_TIMEOUT_USEC=5000000\nSTATUS=reading", 108.0)
    assert not told.late(113.0, deadline=2.0)
    assert told.late(113.1, deadline=2.0)
    assert told.status == ["reading"]


def test_once_ready_it_must_be_fed_and_one_that_stops_by_itself_need_not() -> None:
    told = Told(started=100.0, ready_within=10.0)
    told.hear("READY=1", 101.0)
    assert not told.late(103.0, deadline=2.0)
    assert told.late(103.1, deadline=2.0)
    told.hear("WATCHDOG=1", 103.0)
    assert not told.late(105.0, deadline=2.0)
    assert told.longest_silence == 2.0
    told.hear("STOPPING=1", 105.0)
    assert not told.late(1000.0, deadline=2.0)


class Process:
    """A gateway's process that speaks as it is told."""

    def __init__(self, directory: Path, told: str = "") -> None:
        self.directory = directory
        self.killed = 0
        self._told = told
        self.sabotages: list[object] = []

    def start(self, *, ready: bool, sabotage: object, environment: dict[str, str]) -> float:
        assert isinstance(ready, bool)
        self.sabotages.append(sabotage)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1", environment["NOTIFY_SOCKET"].replace("@", "\0"))
        return 0.1

    def words(self) -> str:
        return self._told

    def wait_for(self, _: object) -> None:
        pass

    def kill(self) -> None:
        self.killed += 1


@pytest.mark.parametrize("depth", [1, 40], ids=["path", "abstract"])
def test_who_falls_silent_is_killed(tmp_path: Path, depth: int) -> None:
    directory = tmp_path.joinpath(*["deep"] * depth)
    directory.mkdir(parents=True)
    process = Process(directory)
    with Service(cast("Any", process), 0.1) as service:
        service.start()
        wait_until(lambda: service.told.ready is not None, 60, "it is heard")
        wait_until(service.starved, 60, "it falls silent")
    assert process.killed == service.kills == 1
    assert not os.path.lexists(directory / "notify")


def test_one_that_is_fed_although_a_part_stands_still_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`starved` comes true when the last word came much later than the block."""
    process = Process(tmp_path, "sabotaged: writer")
    with Service(cast("Any", process), DEADLINE) as service:
        case = Case("writer thread", 1, cast("Any", process), cast("Any", None), cast("Any", None))

        def fed_for_long() -> bool:
            if service.told.ready is None:
                return False
            service.told.fed += 10 * DEADLINE
            return True

        monkeypatch.setattr(service, "starved", fed_for_long)
        case._blocked(service)
    assert [what for what, _ in case.wrong] == ["fed while blocked"]
    assert case.fed_for > DEADLINE


def test_one_that_is_killed_before_a_part_stands_still_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "BLOCKED_WITHIN", 10.0)
    process = Process(tmp_path)
    with Service(cast("Any", process), DEADLINE) as service:
        case = Case("commit", 1, cast("Any", process), cast("Any", None), cast("Any", None))
        monkeypatch.setattr(service, "starved", lambda: True)
        case._blocked(service)
    assert [what for what, _ in case.wrong] == ["killed without cause"]
    assert process.sabotages[-1] is None, "it is started again, for what is compared in the end"
