"""sd_notify(3) to the letter, and a watchdog fed by progress only."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from edge_gateway.service.watchdog import ProgressMark, ServiceManager, Watchdog, stuck


class Manager:
    """The service manager's end of the socket."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(60)
        self.address = address

    def heard(self) -> list[str]:
        return self._socket.recv(4096).decode().splitlines()

    def silent(self) -> bool:
        self._socket.settimeout(0.0)
        try:
            self._socket.recv(4096)
        except BlockingIOError:
            return True
        return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    named = {"path": str(tmp_path / "notify"), "abstract": f"@edge-gateway-test-{os.getpid()}"}
    manager = Manager(named[request.param])
    yield manager
    manager.close()


def environment(manager: Manager, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "8000000", "PATH": "/bin", **more}


def test_the_environment_names_socket_and_deadline_and_is_cleared_for_children(manager: Manager) -> None:
    given = environment(manager, WATCHDOG_PID=str(os.getpid()))
    found = ServiceManager.from_environment(given)
    assert (found.address, found.deadline) == (manager.address, 8.0)
    assert given == {"PATH": "/bin"}
    found.notify("READY=1", "STATUS=well")
    assert manager.heard() == ["READY=1", "STATUS=well"]


@pytest.mark.parametrize(
    "more", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}], ids=["another process's", "nonsense"]
)
def test_a_deadline_that_is_not_for_this_process_is_none(manager: Manager, more: dict[str, str]) -> None:
    assert ServiceManager.from_environment(environment(manager, **more)).deadline == 0.0


def test_without_a_socket_nothing_is_sent_and_nothing_fails(tmp_path: Path) -> None:
    nobody = ServiceManager.from_environment({})
    assert (nobody.address, nobody.deadline) == ("", 0.0)
    nobody.notify("READY=1")
    ServiceManager(str(tmp_path / "gone")).notify("READY=1")
    assert list(tmp_path.iterdir()) == []


def test_a_part_without_progress_for_long_is_stuck() -> None:
    signs = {"writer": lambda: 10.0, "rules": lambda: 14.0}
    assert stuck(signs, 14.5, 5.0) == []
    assert stuck(signs, 15.5, 5.0) == ["writer"]
    assert stuck(signs, 20.0, 5.0) == ["writer", "rules"]


def test_it_is_fed_only_while_every_part_makes_progress(manager: Manager) -> None:
    moved = {"writer": 100.0, "rules": 100.0}
    told: list[str] = []
    watchdog = Watchdog(ServiceManager.from_environment(environment(manager)))
    watchdog.started(
        {"writer": lambda: moved["writer"], "rules": lambda: moved["rules"]},
        lambda: "online;\nall is well",
        told.append,
    )
    assert manager.heard() == ["READY=1", "WATCHDOG=1", "STATUS=online; all is well"]
    watchdog.check(103.9)
    assert manager.heard() == ["WATCHDOG=1"]
    moved["rules"] = 104.0
    watchdog.check(104.1)
    watchdog.check(106.1)
    assert manager.silent()
    assert told == ["writer"]
    moved.update(writer=106.2, rules=106.2)
    watchdog.check(106.3)
    assert told == ["writer", ""]
    watchdog.stopping()
    watchdog.check(1000.0)
    assert told == ["writer", ""], "each step of a stop has a deadline of its own"


async def test_a_start_that_makes_progress_is_extended(manager: Manager) -> None:
    says = ["reading"]
    watchdog = Watchdog(ServiceManager(manager.address, 0.2), {"start": monotonic}, lambda: says[0])
    async with watchdog.watching():
        first = await asyncio.to_thread(manager.heard)
        assert first == ["WATCHDOG=1", "EXTEND_TIMEOUT_USEC=200000", "STATUS=reading"]
        says[0] = "waiting"
        while "STATUS=waiting" not in await asyncio.to_thread(manager.heard):
            pass
    while not manager.silent():
        pass
    still = ProgressMark()
    watchdog.signs = {"start": lambda: still.at}
    watchdog.check(still.at + 0.5)
    assert manager.silent()
