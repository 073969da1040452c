"""`systemctl` for a machine without systemd: it runs the lines of the very unit files, as the users they name.

It knows what the units of this product and of Mosquitto say. A unit that changed on the disk since the last
`daemon-reload` is not started; one that does not become ready in time, or does not end in time, is an error.
"""

import contextlib
import json
import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

OURS, PACKAGED = Path("/etc/systemd/system"), Path("/lib/systemd/system")
STATE = Path("/run/systemctl")
KNOWN = """
Description Documentation After Wants WantedBy Type NotifyAccess ExecStart ExecStartPre ExecReload User Group UMask
StateDirectory StateDirectoryMode RuntimeDirectory RuntimeDirectoryMode WatchdogSec Restart RestartSec
TimeoutStartSec TimeoutStopSec MemoryMax LimitNOFILE NoNewPrivileges ProtectSystem ProtectHome
"""
TRIED = 0.05


def fail(text: str) -> None:
    sys.stderr.write(f"systemctl: {text}\n")
    raise SystemExit(1)


def files(name: str) -> list[Path]:
    """The unit's file and its drop-ins."""
    main = next(
        (place / f"{name}.service" for place in (OURS, PACKAGED) if (place / f"{name}.service").exists()),
        None,
    )
    if main is None:
        fail(f"Unit {name}.service not found")
        raise AssertionError
    return [main, *sorted((OURS / f"{name}.service.d").glob("*.conf"))]


def on_disk() -> dict[str, str]:
    return {str(file): file.read_text() for file in sorted(OURS.rglob("*")) if file.is_file()}


class Unit:
    """A service, as its files said at the last daemon-reload."""

    def __init__(self, name: str) -> None:
        self.name = name.removesuffix(".service")
        loaded = json.loads((STATE / "loaded.json").read_text())
        self.settings: dict[str, list[str]] = defaultdict(list)
        for file in files(self.name):
            if file.is_relative_to(OURS) and loaded.get(str(file)) != file.read_text():
                fail(f"{file} changed on disk; run 'systemctl daemon-reload'")
            self._read(file)
        if str(OURS / f"{self.name}.service.d") in {
            str(Path(one).parent) for one in set(loaded) - set(on_disk())
        }:
            fail(f"a drop-in of {self.name} is gone; run 'systemctl daemon-reload'")

    def _read(self, file: Path) -> None:
        for line in file.read_text().splitlines():
            key, equals, value = line.partition("=")
            if equals and not line.startswith(("#", ";", "[")):
                if key not in KNOWN.split():
                    fail(f"{file}: the tests do not know {key}")
                self.settings[key].append(value)

    def get(self, key: str, default: str = "") -> str:
        return self.settings[key][-1] if self.settings[key] else default

    def pid(self) -> int | None:
        """The main process, while it lives."""
        try:
            pid = int((STATE / f"{self.name}.pid").read_text())
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, ValueError):
            return None
        return None if state == "Z" else pid

    def start(self) -> None:
        if self.pid() is not None:
            return
        self._directories()
        for command in self.settings["ExecStartPre"]:
            done = subprocess.run(shlex.split(command.removeprefix("-")), check=False)
            if done.returncode and not command.startswith("-"):
                fail(f"{self.name}: {command} ended with {done.returncode}")
        with self._notified() as (notify, told):
            environment = {"PATH": os.defpath, "NOTIFY_SOCKET": notify, "LANG": "C.UTF-8"}
            if self.get("WatchdogSec"):
                environment["WATCHDOG_USEC"] = f"{int(self.get('WatchdogSec')) * 1_000_000}"
            with (STATE / f"{self.name}.log").open("ab") as log:
                process = subprocess.Popen(
                    self._command(),
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    start_new_session=True,
                    umask=int(self.get("UMask", "0022"), 8),
                )
            (STATE / f"{self.name}.pid").write_text(str(process.pid))
            self._wait_ready(process, told)

    def _command(self) -> list[str]:
        """ExecStart as its user, in a mount namespace of its own where the system is protected."""
        command = shlex.split(self.get("ExecStart"))
        if self.get("User"):
            user = pwd.getpwnam(self.get("User"))
            privileges = ["--no-new-privs"] * (self.get("NoNewPrivileges") == "yes")
            ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups"]
            command = ["setpriv", *ids, *privileges, *command]
        if self.get("ProtectSystem") == "strict":
            writable = [f"/var/lib/{self.get('StateDirectory')}", f"/run/{self.get('RuntimeDirectory')}"]
            lines = [f"mount --bind {place} {place}" for place in writable]
            lines += [
                f"mount -o remount,bind,ro {place}"
                for place in ("/", "/etc", "/opt", "/var", "/usr/local", "/run")
            ]
            lines += ["mount -t tmpfs -o ro,mode=0 none /home", 'exec "$@"']
            command = ["unshare", "--mount", "sh", "-euc", "\n".join(lines), "sh", *command]
        return command

    def _directories(self) -> None:
        for kind, root in (("State", "/var/lib"), ("Runtime", "/run")):
            name = self.get(f"{kind}Directory")
            if name:
                mode, owner = self.get(f"{kind}DirectoryMode", "0755"), self.get("User", "root")
                subprocess.run(
                    ["install", "-d", "-m", mode, "-o", owner, "-g", owner, f"{root}/{name}"], check=True
                )

    @contextlib.contextmanager
    def _notified(self) -> Iterator[tuple[str, socket.socket]]:
        place = STATE / f"{self.name}.notify"
        place.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.bind(str(place))
            place.chmod(0o777)
            told.settimeout(TRIED)
            yield str(place), told

    def _wait_ready(self, process: subprocess.Popen[bytes], told: socket.socket) -> None:
        if self.get("Type") != "notify":
            fail(f"{self.name}: the tests know Type=notify only")
        deadline = time.monotonic() + int(self.get("TimeoutStartSec", "90"))
        while time.monotonic() < deadline:
            if process.poll() is not None:
                fail(f"{self.name} ended with {process.returncode}:\n{self.log()}")
            with contextlib.suppress(TimeoutError):
                if b"READY=1" in told.recv(4096).split(b"\n"):
                    return
        fail(f"{self.name} was not ready in time:\n{self.log()}")

    def stop(self) -> None:
        """SIGTERM; what does not end in its time would be killed, which is an error here."""
        pid = self.pid()
        if pid is None:
            return
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + int(self.get("TimeoutStopSec", "90"))
        while self.pid() is not None:
            if time.monotonic() > deadline:
                fail(f"{self.name} did not end in time")
            time.sleep(TRIED)
        if self.get("RuntimeDirectory"):
            shutil.rmtree(f"/run/{self.get('RuntimeDirectory')}")

    def reload(self) -> None:
        pid = self.pid()
        if pid is None or not self.get("ExecReload"):
            fail(f"{self.name} cannot be reloaded")
        command = self.get("ExecReload").replace("$MAINPID", str(pid))
        subprocess.run(shlex.split(command), check=True)

    def enable(self) -> None:
        wanted = OURS / f"{self.get('WantedBy')}.wants" / f"{self.name}.service"
        wanted.parent.mkdir(exist_ok=True)
        wanted.unlink(missing_ok=True)
        wanted.symlink_to(files(self.name)[0])

    def disable(self) -> None:
        (OURS / f"{self.get('WantedBy')}.wants" / f"{self.name}.service").unlink()

    def log(self) -> str:
        log = STATE / f"{self.name}.log"
        return log.read_text(errors="replace") if log.exists() else ""


def systemctl(verb: str, *rest: str) -> None:
    now = "--now" in rest
    units = [Unit(name) for name in rest if not name.startswith("-")] if verb != "daemon-reload" else []
    if verb == "daemon-reload":
        STATE.mkdir(exist_ok=True)
        (STATE / "loaded.json").write_text(json.dumps(on_disk()))
    for unit in units:
        match verb:
            case "start":
                unit.start()
            case "stop":
                unit.stop()
            case "restart":
                unit.stop()
                unit.start()
            case "reload":
                unit.reload()
            case "enable" | "disable":
                if now:
                    (unit.start if verb == "enable" else unit.stop)()
                (unit.enable if verb == "enable" else unit.disable)()
            case "is-active":
                raise SystemExit(0 if unit.pid() else 3)
            case _:
                fail(f"the tests do not know '{verb}'")


def journalctl(*arguments: str) -> None:
    name, lines = arguments[arguments.index("-u") + 1], int(arguments[arguments.index("-n") + 1])
    sys.stdout.write("\n".join(Unit(name).log().splitlines()[-lines:]) + "\n")


if __name__ == "__main__":
    (journalctl if Path(sys.argv[0]).name == "journalctl" else systemctl)(*sys.argv[1:])
