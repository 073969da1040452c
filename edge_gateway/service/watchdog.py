"""The service manager's watchdog, fed by progress and by nothing else: not by being connected, not by being busy.

event loop ─ turned ──────────────────────────────┐
writer ───── came round, or a try to commit ended ├─▶ all within half the deadline ─▶ WATCHDOG=1
rules ────── the task that ticks them came round ─┤   else silence, and systemd kills and starts again
store ────── came round, or a transaction ended ──┘

What counts as progress, and what does not:

- A disk that is full or refuses is no hang: the commit was tried again, and a restart would not make room. The writer
  counts as moving, a task that pauses because of it too.
- A write or sync that does not come back is a hang: nobody knows whether it ever will, and a new process finds all
  that was acknowledged.
- A broker or database that is away is no hang: whoever waits for it does so beside these four.
- While starting it is a record replayed, a file read or a try to find room; the time systemd allows for the start is
  then extended too. While stopping it is the loop alone, since each step there has a deadline of its own.

Without a service manager nobody kills; what stands still is still a problem in the status and in the log.

The protocol is sd_notify(3): datagrams of `NAME=value` lines to the socket named by $NOTIFY_SOCKET.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic

log = logging.getLogger(__name__)

DEADLINE = 60.0
"""Seconds, where nobody gives a deadline."""
CHECKS_PER_DEADLINE = 4
"""In each deadline; twice what sd_watchdog_enabled(3) advises, so that one late look is none too many."""
PATIENCE = 0.5
"""Part of the deadline that a sign of progress may be old."""
EXTENSION = 4
"""Looks by which a start that makes progress is allowed to take longer."""

ProgressSigns = Mapping[str, Callable[[], float]]
"""Who must move, and when it last did, on the monotonic clock, in seconds."""


@dataclass(slots=True)
class ProgressMark:
    """A sign of progress, set from any thread."""

    at: float = field(default_factory=monotonic)

    def __call__(self, *_: object) -> None:
        self.at = monotonic()


@dataclass(frozen=True, slots=True)
class ServiceManager:
    """Whoever started this process, and the seconds without a word after which it kills; 0: never.

    Without an address nothing is sent.
    """

    address: str = ""
    deadline: float = 0.0

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str]) -> ServiceManager:
        """What the environment says; it is taken out, so that no child speaks in this process's name."""
        address = environment.pop("NOTIFY_SOCKET", "")
        microseconds = environment.pop("WATCHDOG_USEC", "")
        watched = environment.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        return cls(address, int(microseconds) / 1e6 if watched and microseconds.isdigit() else 0.0)

    def notify(self, *words: str) -> None:
        """Send lines such as `READY=1`. Never waits; a manager that does not listen is not waited for."""
        if not self.address:
            return
        to = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with (
            suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as notify,
        ):
            notify.sendto("\n".join(words).encode(), to)


def stuck(signs: ProgressSigns, now: float, patience: float) -> list[str]:
    """Who has not moved for `patience` seconds."""
    return [name for name, moved in signs.items() if now - moved() > patience]


@dataclass(slots=True)
class Watchdog:
    """Looks for progress and says so, from start to end of the process."""

    manager: ServiceManager = ServiceManager()
    signs: ProgressSigns = field(default_factory=dict)
    status: Callable[[], str] = lambda: "starting"
    on_stuck: Callable[[str], None] = lambda _: None
    """Told what stands still for two looks, and an empty text when nothing does any more."""
    _starting: bool = True
    _last_status: str = ""
    _found: list[str] = field(default_factory=list)
    _stuck: list[str] = field(default_factory=list)

    @property
    def deadline(self) -> float:
        """Seconds."""
        return self.manager.deadline or DEADLINE

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look while the block runs."""
        task = asyncio.create_task(self._run(), name="watchdog")
        try:
            yield
        finally:
            task.cancel()

    def started(
        self, signs: ProgressSigns, status: Callable[[], str], on_stuck: Callable[[str], None]
    ) -> None:
        """The service is up: from here on these must move."""
        self.signs, self.status, self.on_stuck = signs, status, on_stuck
        self._starting = False
        self.manager.notify("READY=1", *self._words())

    def stopping(self) -> None:
        """The service is ending, by itself."""
        self.signs = {}
        self.manager.notify("STOPPING=1")

    async def _run(self) -> None:
        while True:
            self.check(monotonic())
            await asyncio.sleep(self.deadline / CHECKS_PER_DEADLINE)

    def check(self, now: float) -> None:
        """Say that all is moving, or say nothing."""
        found = stuck(self.signs, now, PATIENCE * self.deadline)
        lasting = [name for name in found if name in self._found]
        self._found = found
        if lasting != self._stuck:
            self._stuck = lasting
            self.on_stuck(", ".join(lasting))
        if not found:
            self.manager.notify(*self._words())

    def _words(self) -> list[str]:
        words = ["WATCHDOG=1"]
        if self._starting:
            words.append(
                f"EXTEND_TIMEOUT_USEC={round(EXTENSION * self.deadline / CHECKS_PER_DEADLINE * 1e6)}"
            )
        status = " ".join(self.status().split())
        if status != self._last_status:
            self._last_status = status
            words.append(f"STATUS={status}")
        return words
