"""The proof of the watchdog: how it plays the service manager, and what it counts."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any, cast

import pytest

from tests.proofs import watchdog
from tests.proofs.ground.service import Notifications, Service
from tests.proofs.watchdog import DEADLINE, Case
from tests.servers.process import wait_until


def test_a_start_may_take_its_timeout_and_the_extensions_it_asks_for() -> None:
    notifications = Notifications(started=100.0, ready_within=10.0)
    assert not notifications.overdue(110.0, deadline=2.0)
    assert notifications.overdue(110.1, deadline=2.0)
    notifications.receive("WATCHDOG=1\nEXTEND_TIMEOUT_USEC=5000000\nSTATUS=reading", 108.0)
    assert not notifications.overdue(113.0, deadline=2.0)
    assert notifications.overdue(113.1, deadline=2.0)
    assert notifications.status == ["reading"]


def test_the_watchdog_must_be_fed_once_ready_but_not_while_stopping() -> None:
    notifications = Notifications(started=100.0, ready_within=10.0)
    notifications.receive("READY=1", 101.0)
    assert not notifications.overdue(103.0, deadline=2.0)
    assert notifications.overdue(103.1, deadline=2.0)
    notifications.receive("WATCHDOG=1", 103.0)
    assert not notifications.overdue(105.0, deadline=2.0)
    assert notifications.longest_silence == 2.0
    notifications.receive("STOPPING=1", 105.0)
    assert not notifications.overdue(1000.0, deadline=2.0)


class Process:
    """A gateway's process that speaks as it is notifications."""

    def __init__(self, directory: Path, log: str = "") -> None:
        self.directory = directory
        self.killed = 0
        self._log = log
        self.sabotages: list[object] = []

    def start(self, *, ready: bool, sabotage: object, environment: dict[str, str]) -> float:
        assert isinstance(ready, bool)
        self.sabotages.append(sabotage)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1", environment["NOTIFY_SOCKET"].replace("@", "\0"))
        return 0.1

    def words(self) -> str:
        return self._log

    def wait_for(self, _: object) -> None:
        pass

    def kill(self) -> None:
        self.killed += 1


@pytest.mark.parametrize("depth", [1, 40], ids=["path", "abstract"])
def test_a_process_that_stops_feeding_is_killed(tmp_path: Path, depth: int) -> None:
    directory = tmp_path.joinpath(*["deep"] * depth)
    directory.mkdir(parents=True)
    process = Process(directory)
    with Service(cast("Any", process), 0.1) as service:
        service.start()
        wait_until(lambda: service.notifications.ready is not None, 60, "it is heard")
        wait_until(service.starved, 60, "it falls silent")
    assert process.killed == service.kills == 1
    assert not os.path.lexists(directory / "notify")


def test_the_watchdog_proof_notices_feeding_while_a_part_is_blocked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in starves only after a notification long after the block."""
    process = Process(tmp_path, "sabotaged: writer")
    with Service(cast("Any", process), DEADLINE) as service:
        case = Case("writer thread", 1, cast("Any", process), cast("Any", None), cast("Any", None))

        def fed_for_long() -> bool:
            if service.notifications.ready is None:
                return False
            service.notifications.fed += 10 * DEADLINE
            return True

        monkeypatch.setattr(service, "starved", fed_for_long)
        case._blocked(service)
    assert [what for what, _ in case.forbidden] == ["fed while blocked"]
    assert case.fed_for > DEADLINE


def test_the_watchdog_proof_notices_a_kill_before_a_part_is_blocked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "BLOCKED_WITHIN", 10.0)
    process = Process(tmp_path)
    with Service(cast("Any", process), DEADLINE) as service:
        case = Case("commit", 1, cast("Any", process), cast("Any", None), cast("Any", None))
        monkeypatch.setattr(service, "starved", lambda: True)
        case._blocked(service)
    assert [what for what, _ in case.forbidden] == ["killed without cause"]
    assert process.sabotages[-1] is None, "it is started again, for what is compared in the end"
