"""A stand-in for systemd: gives the gateway a notify socket, and kills it when notifications stop.

start ─▶ READY=1 within the start timeout, which EXTEND_TIMEOUT_USEC extends ─▶ WATCHDOG=1 within each deadline
            └──────────────── overdue ────────────────┴──────────────────────────────────┘ ─▶ kill -9

See systemd.service(5), Type=notify and WatchdogSec.
"""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from fleet_wire.local_socket import LONGEST_PATH
from tests.proofs.ground.sabotaged import Sabotage
from tests.servers.gateway import Gateway

POLL: Final = 0.05


@dataclass(slots=True)
class Notifications:
    """What one process has notified. Times are monotonic seconds."""

    started: float
    ready_within: float
    ready: float | None = None
    fed: float = 0.0
    feeds: int = 0
    longest_silence: float = 0.0
    stopping: bool = False
    status: list[str] = field(default_factory=list)

    def receive(self, text: str, now: float) -> None:
        for name, _, value in (line.partition("=") for line in text.splitlines()):
            if name == "WATCHDOG":
                self._feed(now)
            elif name == "READY":
                self.ready = now
                self._feed(now)
            elif name == "EXTEND_TIMEOUT_USEC":
                self.ready_within = max(self.ready_within, now - self.started + int(value) / 1e6)
            elif name == "STOPPING":
                self.stopping = True
            elif name == "STATUS":
                self.status.append(value)

    def _feed(self, now: float) -> None:
        if self.feeds:
            self.longest_silence = max(self.longest_silence, now - self.fed)
        self.fed, self.feeds = now, self.feeds + 1

    def overdue(self, now: float, deadline: float) -> bool:
        """Whether the process must be killed."""
        if self.stopping:
            return False
        if self.ready is None:
            return now - self.started > self.ready_within
        return now - self.fed > deadline


class Service:
    """A gateway under a service manager while the block runs; `deadline` is WatchdogSec, in seconds."""

    def __init__(self, gateway: Gateway, deadline: float, *, ready_within: float | None = None) -> None:
        self.gateway = gateway
        self.deadline = deadline
        self._ready_within = ready_within or 2 * deadline
        self.kills = 0
        self.notifications = Notifications(time.monotonic(), self._ready_within)
        self._address = gateway.directory / "notify"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="service")

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(POLL)
        self._socket.bind(self._name)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()
        self._address.unlink(missing_ok=True)

    @property
    def _name(self) -> str:
        """The address as systemd would give it: a path, or an abstract one where the path is too long."""
        path = str(self._address)
        return path if len(path) <= LONGEST_PATH else f"\0{path[-LONGEST_PATH:]}"

    def start(self, *, ready: bool = True, sabotage: Sabotage | None = None) -> float:
        """Start the gateway as `Gateway.start` does; seconds until it was subscribed."""
        self.notifications = Notifications(time.monotonic(), self._ready_within)
        environment = {
            "NOTIFY_SOCKET": self._name.replace("\0", "@"),
            "WATCHDOG_USEC": str(round(self.deadline * 1e6)),
        }
        return self.gateway.start(ready=ready, sabotage=sabotage, environment=environment)

    def starved(self) -> bool:
        """Whether notifications stopped for too long; the process is then killed."""
        if not self.notifications.overdue(time.monotonic(), self.deadline):
            return False
        self.gateway.kill()
        self.kills += 1
        return True

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                text = self._socket.recv(4096).decode()
            except TimeoutError:
                continue
            self.notifications.receive(text, time.monotonic())
