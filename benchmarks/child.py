"""A measured program, whose CPU time and memory are known when it has ended."""

import os
import signal
import subprocess
from pathlib import Path
from typing import NamedTuple

from edge_gateway.mqtt.embedded import tied_to_parent
from tests.servers.process import ServerFailed


class Used(NamedTuple):
    """CPU seconds and peak resident bytes; NaN if unknown."""

    cpu: float
    memory: float


class Child:
    """A process whose whole CPU time is known when it has ended."""

    def __init__(self, command: list[str], log: Path) -> None:
        self._log, self._name = log, command[0]
        with log.open("wb") as out:
            self._process = subprocess.Popen(tied_to_parent(command), stdout=out, stderr=out)
        self.pid = self._process.pid

    def wait(self) -> Used:
        """Wait for its end and return what it used; ServerFailed if it ended with an error."""
        _, status, usage = os.wait4(self.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        if self._process.returncode not in {0, -signal.SIGTERM}:
            raise ServerFailed(f"{self._name} failed: {self._log.read_text(errors='replace')[-1000:]}")
        return Used(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)

    def stop(self) -> Used:
        os.kill(self.pid, signal.SIGTERM)  # Popen would take the status of an ended process, and its usage
        return self.wait()
