"""Build the release, install it into a new environment, and try it out in an empty directory.

source archive ─▶ wheel ─▶ new environment ─▶ gateway with an embedded broker ◀── fleet
                                                   └────── stored windows, compared with the fleet's ledger
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
import tomllib
import venv
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

ROOT: Final = Path(__file__).resolve().parents[1]
WITHIN: Final = 120.0
"""Seconds that each step of the trial may take, on a busy machine."""
REQUIRED: Final = (
    "edge_gateway/py.typed",
    "edge_gateway/shipped/broker/limits/limits.conf",
    "edge_gateway/shipped/influx/dashboard-fleet-overview.yml",
    "edge_gateway/shipped/rules/cold-chain.yaml",
    "fleet_config/py.typed",
    "fleet_recordings/nab.yaml",
    "fleet_recordings/py.typed",
    "fleet_sim/profiles/cold-chain.yaml",
    "fleet_sim/py.typed",
    "fleet_wire/py.typed",
)
"""One file of each kind that is not Python."""
QUICK: Final = {
    "EDGE_GATEWAY_WINDOWS": "[{every: 1s, bucket: seconds, keep: 1d}]",
    "EDGE_GATEWAY_TIME_ALLOWED_LATENESS": "2s",
    "EDGE_GATEWAY_TIME_IDLE_CLOSE": "2s",
    "EDGE_GATEWAY_HTTP_LISTEN": "",
}
"""Settings of the trial's gateway: windows that close soon, and no HTTP port that may be in use."""
RELEASE: Final = """
A release, once ./test --full succeeds too:
  1. fleet_console/version.py and CHANGELOG.md name {version}; commit
  2. git tag -a v{version} -m {version} && git push origin v{version}
  3. ./package, in a clean checkout of the tag
  4. python -m twine upload {files}
"""


class Broken(Exception):
    """The release does not work; the text says what was run and what it printed."""


def build(output: Path, scratch: Path) -> tuple[Path, Path]:
    """Build the source archive from the checkout, and the wheel from the archive; return both."""
    archive = _built("sdist", ROOT, output, "*.tar.gz")
    with tarfile.open(archive) as contents:
        contents.extractall(scratch, filter="data")
    [unpacked] = scratch.iterdir()
    return archive, _built("wheel", unpacked, output, "*.whl")


def _built(target: str, source: Path, output: Path, pattern: str) -> Path:
    for old in output.glob(pattern):
        old.unlink()
    run([sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(output)], source)
    [made] = output.glob(pattern)
    return made


def check_contents(wheel: Path) -> None:
    """Raise Broken if the wheel lacks a kind of file, or holds anything that is not part of the programs."""
    with zipfile.ZipFile(wheel) as contents:
        names = set(contents.namelist())
    missing = [name for name in REQUIRED if name not in names]
    of_wheel = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
    foreign = sorted({name.partition("/")[0] for name in names} - {*packages(), of_wheel})
    if missing or foreign:
        lacks, holds = ", ".join(missing) or "nothing", ", ".join(foreign) or "nothing"
        raise Broken(f"{wheel.name}: lacks {lacks}; holds {holds} that is not part of the programs")


def packages() -> list[str]:
    """Return the packages of the wheel, as pyproject.toml names them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    named: list[str] = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return named


def install(wheel: Path, place: Path, *, offline: bool) -> Path:
    """Install the wheel with the locked dependencies into a new environment; return its `bin` directory.

    Offline it uses the dependencies of the running environment, without the checkout that is on their path.
    """
    venv.create(place, with_pip=not offline, symlinks=True)
    commands = place / "bin"
    if offline:
        site = place / Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)
        (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
        pip = [sys.executable, "-m", "pip", "--python", str(commands / "python")]
        run([*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)], place)
        return commands
    pip = [str(commands / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", "-r", str(ROOT / "requirements.lock")], place)
    run([*pip, "--no-deps", str(wheel)], place)
    return commands


def run(command: list[str], place: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a command and return what it printed; Broken with the end of its output if it fails."""
    try:
        done = subprocess.run(
            command,
            cwd=place,
            env=environment,
            capture_output=True,
            text=True,
            timeout=5 * WITHIN,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Broken(f"{' '.join(command)}: still running after {5 * WITHIN:g} s") from None
    if done.returncode:
        raise Broken(f"{' '.join(command)}: status {done.returncode}\n{(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


def try_out(commands: Path, place: Path, version: str) -> str:
    """Run a gateway and a fleet in an empty directory and compare; return a line about it, or raise Broken."""
    gateway, fleet = str(commands / "edge-gateway"), str(commands / "fleet-sim")
    port = free_port()
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment = kept | QUICK | {"EDGE_GATEWAY_MQTT_URL": f"mqtt://127.0.0.1:{port}"}
    for program in (gateway, fleet):
        told = run([program, "--version"], place, environment).split()[-1]
        if told != version:
            raise Broken(f"{program} --version says {told}, but the wheel is {version}")
    with (place / "gateway.log").open("w+") as log:
        process = subprocess.Popen([gateway, "run", "--embedded"], cwd=place, env=environment, stderr=log)
        try:
            status = _status_of(process, gateway, place, environment)
            arguments = ["--sensors", "5", "--interval", "200ms", "--duration", "4s", "--port", str(port)]
            run([fleet, "run", "cold-chain", *arguments, "--report", "run", "--quiet"], place, environment)
            history = f"{gateway} query windows --json"
            compared = [fleet, "verify", "run", "--history-cmd", history, "--wait", f"{WITHIN:g}s", "--json"]
            [result] = json.loads(run(compared, place, environment))["results"]
            process.terminate()
            ended = process.wait(WITHIN)
        except (Broken, subprocess.TimeoutExpired) as error:
            log.seek(0)
            raise Broken(f"{error}\nthe gateway's log:\n{log.read()[-2000:]}") from error
        finally:
            process.kill()
            process.wait()
    if ended or not result["readings"]:
        raise Broken(f"the gateway ended with {ended}, and stored {result['readings']} readings")
    return f"{result['readings']} readings stored correctly, {status['rules']['count']} rules in force"


def _status_of(
    process: subprocess.Popen[bytes], gateway: str, place: Path, environment: Mapping[str, str]
) -> dict[str, dict[str, object]]:
    """Wait until the gateway is connected to its broker, and return its status."""
    deadline = time.monotonic() + WITHIN
    while process.poll() is None and time.monotonic() < deadline:
        try:
            status = json.loads(run([gateway, "status", "--json"], place, environment))
        except Broken:
            time.sleep(0.2)
            continue
        if status["broker"]["connected"]:
            return dict(status)
        time.sleep(0.2)
    raise Broken(f"the gateway did not connect to its broker (status {process.poll()})")


def free_port() -> int:
    """Return a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def main() -> int:
    """Build and try out; return the exit status."""
    parser = argparse.ArgumentParser(prog="./package")
    parser.add_argument("--output", type=Path, default=ROOT / "dist")
    parser.add_argument("--offline", action="store_true")
    options = parser.parse_args()
    output: Path = options.output.absolute()
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="edge-fleet-") as scratch:
        place = Path(scratch)
        for name in ("source", "empty"):
            (place / name).mkdir()
        try:
            archive, wheel = _step("build", lambda: build(output, place / "source"))
            check_contents(wheel)
            version = wheel.name.split("-")[1]
            commands = _step(
                "install", lambda: install(wheel, place / "environment", offline=options.offline)
            )
            sys.stderr.write(f"{_step('try out', lambda: try_out(commands, place / 'empty', version))}\n")
        except Broken as error:
            sys.stderr.write(f"./package: {error}\n")
            return 1
    files = " ".join(os.path.relpath(path) for path in (archive, wheel))
    sys.stdout.write(RELEASE.format(version=version, files=files))
    return 0


def _step(name: str, act: Callable[[], T]) -> T:
    begun = time.monotonic()
    done = act()
    sys.stderr.write(f"{name}: ok ({time.monotonic() - begun:.0f} s)\n")
    return done


if __name__ == "__main__":
    sys.exit(main())
