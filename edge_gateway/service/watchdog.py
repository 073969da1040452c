"""Feed the service manager's watchdog while all parts make progress; connected or busy alone does not count.

event loop ─ turned ─────────────────────────────────────┐
writer ───── finished a round, or a try to commit        ├─▶ all within half the deadline ─▶ WATCHDOG=1
rules ────── the tick task finished a round              │   otherwise nothing, and systemd kills and restarts
store ────── finished a round, or a transaction          │
deliveries ─ were folded, or none wait                   ┘

What counts as progress:

- A full or failing disk is not a hang: the commit was retried, and a restart would not make room. The writer counts as
  making progress, and so does a task that pauses because of it.
- A write or sync that does not return is a hang: it may never return, and a new process finds everything that was
  acknowledged.
- An unreachable broker or database is not a hang: other tasks wait for them.
- During start-up it is a record replayed, a file read or a retry on a full disk, which also extends systemd's start
  timeout. While stopping it is the event loop alone, since each step has a deadline of its own.

Without a service manager nothing is killed, but a stuck part is still a problem in status and log.

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

log = logging.getLogger("edge_gateway.watchdog")

DEADLINE = 60.0
"""Seconds, if the service manager sets none."""
CHECKS_PER_DEADLINE = 4
"""Twice what sd_watchdog_enabled(3) advises, so that one late check does no harm."""
PATIENCE = 0.5
"""Fraction of the deadline after which a part without progress is stuck."""
EXTENSION = 4
"""Check intervals by which a start that makes progress extends its timeout."""

ProgressSigns = Mapping[str, Callable[[], float]]
"""By part: when it last made progress, in monotonic seconds."""


@dataclass(slots=True)
class ProgressMark:
    """The time of the last progress; call it from any thread to update it."""

    at: float = field(default_factory=monotonic)

    def __call__(self, *_: object) -> None:
        self.at = monotonic()


@dataclass(frozen=True, slots=True)
class ServiceManager:
    """The notification socket of the service manager, and its watchdog deadline in seconds; 0: none.

    Without an address nothing is sent.
    """

    address: str = ""
    deadline: float = 0.0

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str]) -> ServiceManager:
        """Read and remove systemd's variables, so that no child process notifies in this one's name."""
        address = environment.pop("NOTIFY_SOCKET", "")
        microseconds = environment.pop("WATCHDOG_USEC", "")
        watched = environment.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        return cls(address, int(microseconds) / 1e6 if watched and microseconds.isdigit() else 0.0)

    def notify(self, *words: str) -> None:
        """Send lines such as `READY=1`. Never blocks; errors are ignored."""
        if not self.address:
            return
        to = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with (
            suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as notify,
        ):
            notify.sendto("\n".join(words).encode(), to)


def stuck(signs: ProgressSigns, now: float, patience: float) -> list[str]:
    """Return the parts without progress for `patience` seconds."""
    return [name for name, moved in signs.items() if now - moved() > patience]


@dataclass(slots=True)
class Watchdog:
    """Checks for progress and notifies the service manager, from start to end of the process."""

    manager: ServiceManager = ServiceManager()
    signs: ProgressSigns = field(default_factory=dict)
    status: Callable[[], str] = lambda: "starting"
    on_stuck: Callable[[str], None] = lambda _: None
    """Called with the parts stuck for two checks, and with "" when none are any more."""
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
        """Check while the block runs."""
        task = asyncio.create_task(self._run(), name="watchdog")
        try:
            yield
        finally:
            task.cancel()

    def started(
        self, signs: ProgressSigns, status: Callable[[], str], on_stuck: Callable[[str], None]
    ) -> None:
        """Notify READY; from now on check `signs`."""
        self.signs, self.status, self.on_stuck = signs, status, on_stuck
        self._starting = False
        self.manager.notify("READY=1", *self._words())

    def stopping(self) -> None:
        """Notify STOPPING; from now on check the event loop only."""
        self.signs = {}
        self.manager.notify("STOPPING=1")

    async def _run(self) -> None:
        while True:
            self.check(monotonic())
            await asyncio.sleep(self.deadline / CHECKS_PER_DEADLINE)

    def check(self, now: float) -> None:
        """Notify the service manager if every part makes progress; `now`: monotonic seconds."""
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
