"""The broker of `edge-gateway run --embedded`: a Mosquitto child process, reachable from this machine only.

It ends with the gateway and keeps its files in one directory:

    mosquitto.conf      written at each start
    mosquitto.db        sessions, queues and retained messages
    mosquitto.log       log of the newest start; mosquitto.log.1 holds older ones once it exceeds 1 MiB
"""

import asyncio
import contextlib
import logging
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Self

from edge_gateway.configuration.shipped import shipped
from edge_gateway.errors import CannotReach
from edge_gateway.journal.files import FILES
from edge_gateway.mqtt.broker_database import guard, set_aside
from fleet_console.failures import in_words
from fleet_wire.backoff import delays
from fleet_wire.errors import system_text

logger = logging.getLogger("edge_gateway.embedded")

_PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")  # often not on the PATH of a normal user
HOST: Final = "127.0.0.1"
START_WITHIN: Final = 20.0
"""Seconds until it must accept connections."""
STOP_WITHIN: Final = 10.0
"""Seconds it has to save its database and end."""
_LOG_BYTES = 1 << 20

# Runs before the program: ask the kernel for SIGTERM when the parent dies (prctl 1), raise the limit of open files to
# the hard limit, and exec the program. A separate script, because code run after fork can hang in a process with
# threads, as the gateway is.
_TIE = """
import ctypes, os, resource, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
os.execvp(sys.argv[2], sys.argv[2:])
"""


def tied_to_parent(command: list[str]) -> list[str]:
    """Return a command line that runs `command` as a child that does not outlive this process (on Linux)."""
    return [sys.executable, "-I", "-S", "-c", _TIE, str(os.getpid()), *command]


def find_mosquitto() -> Path:
    """Return the path of mosquitto; CannotReach, with what to install, if it is not found."""
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), *_PLACES])
    found = shutil.which("mosquitto", path=search)
    if found is None:
        raise CannotReach("mosquitto is not installed: apt install mosquitto, dnf install mosquitto, …")
    return Path(found)


def embedded_configuration(directory: Path, port: int) -> str:
    """Return the text of mosquitto.conf: the limits of broker/limits, one listener, no passwords."""
    lines = [
        f"include_dir {shipped('broker/limits').resolve()}",
        f"listener {port} {HOST}",
        "allow_anonymous true",
        f"persistence_location {directory.resolve()}/",
        "log_dest stderr",
    ]
    if os.geteuid() == 0:
        lines.append("user root")  # else Mosquitto becomes a user who may not write into the directory
    return "\n".join(lines) + "\n"


class EmbeddedBroker:
    """A Mosquitto child process; `async with` starts and stops it.

    `port` 0 picks a free one. There are no passwords, so it listens on a loopback address only.
    """

    host: Final = HOST

    def __init__(self, directory: Path, *, port: int = 1883, program: Path | None = None) -> None:
        self.directory = directory
        self.port = port or _free_port()
        self.restarts = 0
        self._program = program
        self._log_start = 0
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"mqtt://{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id, or None while it is not running."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start it and wait until it accepts connections; CannotReach if it does not within START_WITHIN."""
        program = self._program or find_mosquitto()
        _require_free(self.port)
        FILES.make_directory(self.directory)
        configuration = self.directory / "mosquitto.conf"
        configuration.write_text(embedded_configuration(self.directory, self.port))
        database = self.directory / "mosquitto.db"
        if moved := await asyncio.to_thread(guard, database):
            logger.error("%s", moved)
        if await self._spawn(program, configuration):
            return
        # Sound chunks with bad content: if Mosquitto says so, try once more without the database.
        if "Couldn't open database" in self._logged_errors() and database.exists():
            logger.error("the broker cannot read %s: kept as %s", database, set_aside(database).name)
            if await self._spawn(program, configuration):
                return
        raise CannotReach(f"the embedded broker ended at once: {self._logged_errors()} (log: {self._log})")

    async def stop(self) -> None:
        """Stop it and wait: SIGTERM, on which it saves its database, then SIGKILL after STOP_WITHIN."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP_WITHIN):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def supervise(self, pauses: Callable[[], Iterator[float]] = delays) -> None:
        """Restart it whenever it ends, after the growing `pauses` (seconds), until cancelled."""
        while self._process is not None:
            logger.error("the embedded broker ended with status %s", await self._process.wait())
            for pause in pauses():
                await asyncio.sleep(pause)
                try:
                    await self.start()
                except (CannotReach, OSError) as error:
                    logger.error("%s", in_words(error) if isinstance(error, OSError) else error)  # noqa: TRY400 - its text says all, a traceback nothing
                else:
                    self.restarts += 1
                    break

    @property
    def _log(self) -> Path:
        return self.directory / "mosquitto.log"

    async def _spawn(self, program: Path, configuration: Path) -> bool:
        """Start a process; return whether it accepts connections, False if it ended first."""
        if self._log.exists() and self._log.stat().st_size > _LOG_BYTES:
            self._log.replace(self._log.with_name("mosquitto.log.1"))
        with self._log.open("ab") as log:
            self._log_start = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                *tied_to_parent([str(program), "-c", str(configuration)]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a terminal's Ctrl-C ends the gateway, and the gateway its broker
            )
        try:
            async with asyncio.timeout(START_WITHIN):
                return await self._accepts(self._process)
        except TimeoutError:
            await self.stop()
            raise CannotReach(
                f"nothing accepts connections at {self.url} within {START_WITHIN:g} s (log: {self._log})"
            ) from None
        except asyncio.CancelledError:
            await self.stop()
            raise

    async def _accepts(self, process: asyncio.subprocess.Process) -> bool:
        ended = asyncio.create_task(process.wait())
        try:
            while not ended.done():
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection(HOST, self.port)
                    writer.close()
                    return not ended.done()
                await asyncio.wait([ended], timeout=0.02)
            return False
        finally:
            ended.cancel()

    def _logged_errors(self) -> str:
        """Return the errors the newest process logged, in one line."""
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read(_LOG_BYTES).decode(errors="replace").splitlines()
        errors = [line.partition("Error: ")[2] for line in lines if "Error: " in line]
        return " ".join(errors) or "no error in its log"


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _require_free(port: int) -> None:
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        raise CannotReach(
            f"cannot listen on {HOST}:{port} ({system_text(error)}): if another broker is running there, use it with"
            " mqtt.url, stop it, or choose another port"
        ) from error
