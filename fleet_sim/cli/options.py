"""Options that several commands share, and how they change a scenario."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fleet_wire.payload import MAX_COUNTER, MAX_TIME

if TYPE_CHECKING:
    from fleet_sim.devices.endpoint import Endpoint
    from fleet_sim.scenario.grammar import Broker, Scenario

__all__ = [
    "BindOption",
    "BootOption",
    "CaOption",
    "CertOption",
    "DurationOption",
    "HostOption",
    "IntervalOption",
    "JsonOption",
    "KeepAliveOption",
    "KeyOption",
    "PasswordOption",
    "PortOption",
    "ReportOption",
    "ScenarioArgument",
    "SeedOption",
    "SensorsOption",
    "SetOption",
    "UserOption",
    "broker_with",
    "check_variables",
    "connect_rate",
    "directory_for",
    "endpoint",
    "file_to_write",
    "prepared",
    "span",
    "start_time",
]  # fmt: skip

MOST_SENSORS = 1_000_000
"""No machine has sockets for more."""
MOST_KEEPALIVE = 65_535_000
"""Milliseconds; MQTT has 16 bits of seconds."""

ScenarioArgument = Annotated[
    str,
    typer.Argument(metavar="SCENARIO.yaml|PROFILE", envvar="FLEET_SIM_SCENARIO", help="See `fleet-sim ls`."),
]
SensorsOption = Annotated[
    int | None,
    typer.Option(
        "--sensors",
        "-c",
        min=1,
        max=MOST_SENSORS,
        envvar="FLEET_SIM_SENSORS",
        help="Devices in all, split over the groups.",
    ),
]
DurationOption = Annotated[
    str | None,
    typer.Option("--duration", "-d", envvar="FLEET_SIM_DURATION", help="Of the last phase, e.g. 10m."),
]
IntervalOption = Annotated[
    str | None, typer.Option("--interval", envvar="FLEET_SIM_INTERVAL", help="Of every device, e.g. 5s.")
]
SeedOption = Annotated[
    int | None,
    typer.Option("--seed", min=0, max=2**63 - 1, envvar="FLEET_SIM_SEED", help="Of all random values."),
]
BootOption = Annotated[
    int | None,
    typer.Option(
        "--boot", min=0, max=MAX_COUNTER, envvar="FLEET_SIM_BOOT", help="Boot number of all devices."
    ),
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Change a value: fleet.freezer.count=500; may be repeated.")
]
HostOption = Annotated[
    str | None, typer.Option("--host", "-H", envvar="FLEET_SIM_HOST", help="The broker's host.")
]
PortOption = Annotated[
    int | None,
    typer.Option("--port", "-p", min=1, max=65_535, envvar="FLEET_SIM_PORT", help="The broker's port."),
]
UserOption = Annotated[
    str | None,
    typer.Option(
        "--user",
        "-u",
        envvar="FLEET_SIM_USER",
        help="User name; {id} is the device's id, and fleet-sim for the rest.",
    ),
]
PasswordOption = Annotated[
    str | None,
    typer.Option(
        "--password",
        "-P",
        envvar="FLEET_SIM_PASSWORD",
        help="Better given by the variable: others can read arguments.",
    ),
]
CaOption = Annotated[
    Path | None, typer.Option("--cafile", envvar="FLEET_SIM_CAFILE", help="CA certificate: connect with TLS.")
]
CertOption = Annotated[
    Path | None, typer.Option("--cert", envvar="FLEET_SIM_CERT", help="Client certificate.")
]
KeyOption = Annotated[
    Path | None, typer.Option("--key", envvar="FLEET_SIM_KEY", help="Key of the certificate.")
]
KeepAliveOption = Annotated[
    str | None, typer.Option("--keepalive", "-k", envvar="FLEET_SIM_KEEPALIVE", help="e.g. 60s.")
]
BindOption = Annotated[
    str | None,
    typer.Option(
        "--bind", envvar="FLEET_SIM_BIND", help="Local addresses IP,IP: each gives 28,000 more ports."
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        "--report", envvar="FLEET_SIM_REPORT", help="Run directory; .fleet-sim/NAME-TIME unless given."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")]


VARIABLES = frozenset(
    f"FLEET_SIM_{name}"
    for name in (
        "SCENARIO", "SENSORS", "INTERVAL", "DURATION", "LIMIT", "RAMP", "HOST", "PORT", "USER", "PASSWORD", "CAFILE",
        "CERT", "KEY", "QOS", "KEEPALIVE", "BIND", "SEED", "START", "BOOT", "SPEED", "REPORT", "JSON", "JUNIT", "QUIET",
    )
)  # fmt: skip
"""The variables of `run`, one for each option but `--set`."""


def check_variables(environment: Mapping[str, str]) -> None:
    """Refuse variables of this program that mean nothing, so that a mistyped one is not passed over."""
    from fleet_config.problems import suggest

    unknown = sorted(name for name in environment if name.startswith("FLEET_SIM_") and name not in VARIABLES)
    if unknown:
        told = (f"${name} is no variable of fleet-sim{suggest(name, VARIABLES)}" for name in unknown)
        raise typer.BadParameter("; ".join(told))


def span(text: str | None, option: str, *, least: int = 0, most: int | None = None) -> int | None:
    """Return the milliseconds of an option that is a duration; a usage error if it is none or out of bounds (ms)."""
    if text is None:
        return None
    from fleet_config.durations import format_duration, parse_duration

    try:
        length = parse_duration(text)
    except ValueError as problem:
        raise typer.BadParameter(f"{option}: {problem}") from None
    if length < least:
        raise typer.BadParameter(f"{option}: '{text}' is too short; at least {format_duration(least)}")
    if most is not None and length > most:
        raise typer.BadParameter(f"{option}: '{text}' is too long; at most {format_duration(most)}")
    return length


def connect_rate(ramp: str | None, scenario: Scenario) -> float | None:
    """Return how many devices to connect a second, so that all are within `--ramp`; None: as the scenario says."""
    ramp_ms = span(ramp, "--ramp")
    count = sum(group.count for group in scenario.fleet.values())
    return count * 1000.0 / ramp_ms if ramp_ms else None


def start_time(text: str | None) -> int | None:
    """Return the milliseconds since 1970 of `2026-01-01T00:00Z`; a time without a zone is UTC."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        start = round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"--start: '{text}' is no time; write one like 2026-01-01T00:00Z") from None
    if not 0 <= start < MAX_TIME:
        raise typer.BadParameter(f"--start: '{text}' is not between 1970 and 2100")
    return start


def prepared(
    source: str,
    *,
    sensors: int | None = None,
    duration: str | None = None,
    interval: str | None = None,
    seed: int | None = None,
    changes: Sequence[str] | None = None,
) -> Scenario:
    """Load a scenario, changed as the options say."""
    from fleet_sim.scenario.loading import load_scenario, scaled

    scenario = load_scenario(source, overrides=tuple(changes or ()), env=os.environ)
    scenario = scaled(
        scenario,
        sensors=sensors,
        duration_ms=span(duration, "--duration", least=1),
        interval_ms=span(interval, "--interval", least=1),
    )
    return scenario if seed is None else scenario.model_copy(update={"seed": seed})


def broker_with(
    broker: Broker,
    *,
    host: str | None = None,
    port: int | None = None,
    user: str | None = None,
    ca: Path | None = None,
    cert: Path | None = None,
    key: Path | None = None,
    keepalive: str | None = None,
) -> Broker:
    """Change a scenario's broker as the options say; `--cafile` alone turns TLS on."""
    from fleet_sim.scenario.broker import endpoint_of

    before = endpoint_of(broker.model_copy(update={"url": broker.url.replace("mqtts", "mqtt", 1)}))
    tls = ca is not None or broker.url.startswith("mqtts")
    if host is not None and not _is_host(host):
        raise typer.BadParameter(
            f"--host: '{host}' is no host; write a name or an address, without port or mqtt://"
        )
    named = host or port
    port = port or (before.port if not host and ":" in broker.url.split("//")[1] else (8883 if tls else 1883))
    url = (
        f"{'mqtts' if tls else 'mqtt'}://{_in_url(host or before.host)}:{port}" if named or ca else broker.url
    )
    given = {"username": user, "ca": ca and str(ca), "cert": cert and str(cert), "key": key and str(key)}
    every = span(keepalive, "--keepalive", least=1000, most=MOST_KEEPALIVE)
    changed = {name: value for name, value in given.items() if value is not None}
    return broker.model_copy(update={"url": url, **changed, **({"keepalive": every} if every else {})})


def _is_host(text: str) -> bool:
    return bool(re.fullmatch(r"[^\s/@?#\[\]:]+", text)) or _is_address(text)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def endpoint(broker: Broker, password: str | None, bind: str | None) -> Endpoint:
    """Return where to connect to; a certificate or key that cannot be used is a usage error."""
    from fleet_sim.scenario.broker import endpoint_of
    from fleet_wire.tls_files import BadTlsFile

    addresses = [each.strip() for each in bind.split(",")] if bind else []
    for each in addresses:
        if not _is_address(each):
            raise typer.BadParameter(f"--bind: '{each}' is no IP address; write IP,IP")
    try:
        return endpoint_of(broker, password=password, bind=addresses)
    except BadTlsFile as problem:
        option = {"ca": "--cafile", "cert": "--cert", "key": "--key"}[problem.which]
        raise typer.BadParameter(f"{option}, or broker.{problem.which} of the scenario: {problem}") from None


def file_to_write(path: Path | None, option: str) -> Path | None:
    """Return a path that is written at the end of the run; a usage error if it is clear now that it cannot be."""
    if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise typer.BadParameter(
            f"{option}: {path} cannot be written: there is no such directory, or it is one"
        )
    return path


def directory_for(report: Path | None, name: str) -> Path:
    """Make the directory for the files of a run; a usage error if it holds a run, or cannot be made."""
    from fleet_wire.errors import system_text

    directory = report or Path(".fleet-sim") / f"{name}-{datetime.now(tz=UTC):%Y%m%d-%H%M%S}"
    if (directory / "ledger.frames").exists():
        raise typer.BadParameter(f"--report: {directory} holds a run already; give another directory")
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise typer.BadParameter(f"--report: {directory} cannot be made: {system_text(problem)}") from None
    return directory
