"""A server as a child process that can be frozen, killed and restarted."""

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edge_gateway.mqtt.embedded import tied_to_parent

START_S = 60.0


class ServerFailed(Exception):
    """A server did not start, or ended; the text holds the end of its log."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_until(holds: Callable[[], bool], within: float, what: str) -> None:
    """Return as soon as `holds()`; ServerFailed naming `what` after `within` seconds."""
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            raise ServerFailed(f"{what}: not so after {within:g} s")
        time.sleep(0.02)


class ServerProcess:
    """One program, restartable with the same command; `ready` says when it serves."""

    def __init__(self, command: Sequence[str], log: Path, ready: Callable[[], bool]) -> None:
        self._command = list(command)
        self._ready = ready
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and return when it serves."""
        assert not self.running
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                tied_to_parent(self._command), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(self._ready_or_ended, START_S, f"{self._command[0]} serves")
        if not self.running:
            raise ServerFailed(f"{self._command[0]} ended:\n{self.log.read_text(errors='replace')[-2000:]}")

    def kill(self) -> None:
        """Send SIGKILL: the server saves nothing and tells its clients nothing."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Send SIGTERM: the server saves its state."""
        self._end(signal.SIGTERM)

    def restart(self, *, kill: bool = False) -> None:
        self._end(signal.SIGKILL if kill else signal.SIGTERM)
        self.start()

    def reload(self) -> None:
        """Send SIGHUP: the server reloads what it can, such as an access list."""
        self._signal(signal.SIGHUP)

    def pause(self) -> None:
        """Send SIGSTOP: sockets stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def _ready_or_ended(self) -> bool:
        return not self.running or self._ready()

    def _signal(self, number: int) -> None:
        if self.running and self._process is not None:
            self._process.send_signal(number)

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        self._signal(number)
        self._signal(signal.SIGCONT)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
