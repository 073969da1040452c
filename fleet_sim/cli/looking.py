"""`ls`, `check`, `preview`, `plan`, `doctor`, `init`: the commands that need no running fleet."""

from __future__ import annotations

import math
import os
import resource
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeGuard

import typer

from fleet_config.counting import counted
from fleet_console.terminal import say, say_json
from fleet_sim.cli import options as given

if TYPE_CHECKING:
    from fleet_sim.scenario.grammar import Scenario

BYTES_A_DEVICE = 10_000
"""Memory of a connected device without its buffer; benchmarks/simulator_cost.py measures it."""
PACKET_OVERHEAD = 60
"""Bytes that MQTT, TCP and IP add to a payload and its topic, roughly."""
PORTS_AN_ADDRESS = 28_000
"""Connections from one source address to one broker, by the default port range of Linux."""
BARS = " ▁▂▃▄▅▆▇█"


def ls(*, as_json: given.JsonOption = False) -> None:
    """The profiles that ship with the simulator."""
    from fleet_sim.judging.report import rows_table
    from fleet_sim.scenario.profiles import profiles

    if as_json:
        for profile in profiles():
            say_json(profile._asdict())
        return
    rows = [(profile.name, profile.description or ", ".join(profile.groups)) for profile in profiles()]
    say(rows_table("profiles", rows))


def check(scenarios: Annotated[list[str], typer.Argument(metavar="SCENARIO.yaml|PROFILE...")]) -> None:
    """Check scenario files, without side effects.

    Every problem is printed with its line and column.
    """
    from fleet_sim.scenario.loading import load_scenario

    for source in scenarios:
        scenario = load_scenario(source, env=os.environ)
        count = sum(group.count for group in scenario.fleet.values())
        say(f"{source}: ok, {counted(count, 'device')}, {counted(len(scenario.faults), 'fault')}")


def preview(
    scenario: given.ScenarioArgument,
    *,
    devices: Annotated[
        int, typer.Option("--devices", "-n", min=1, help="Devices of each group to show.")
    ] = 1,
    samples: Annotated[int, typer.Option("--samples", min=1, max=10_000, help="Messages a device.")] = 60,
    seed: given.SeedOption = None,
    changes: given.SetOption = None,
    as_json: given.JsonOption = False,
) -> None:
    """What devices would send, without a broker.

    Prints a small chart of each device, or the messages themselves with --json.
    """
    from fleet_sim.judging.report import rows_table

    chosen = given.prepared(scenario, seed=seed, changes=changes)
    start = int(time.time()) * 1000
    for name in chosen.fleet:
        for device, at, messages in previewed(chosen, name, devices, samples, start):
            if as_json:
                for ts, content in zip(at, messages, strict=True):
                    say_json({"device": device, "ts": ts, "m": content})
            else:
                say(rows_table(device, chart_rows(messages)))


def previewed(
    scenario: Scenario, name: str, devices: int, samples: int, start: int
) -> list[tuple[str, list[int], list[dict[str, object]]]]:
    """Return (id, times in ms since 1970, contents of messages) of the first devices of a group."""
    import numpy as np

    from fleet_sim.scenario.planning import plan_group
    from fleet_sim.signals.group import GroupSignals

    group = scenario.fleet[name]
    plans = plan_group(scenario.seed, name, group)[:devices]
    signals = GroupSignals(group.metrics, plans, seed=scenario.seed, start_ms=start)
    rows = np.arange(len(plans), dtype=np.int64)
    offsets = np.array([plan.phase_ms for plan in plans], dtype=np.int64)
    made: list[list[dict[str, object]]] = [[] for _ in plans]
    times: list[list[int]] = [[] for _ in plans]
    for tick in range(samples):
        at = start + offsets + tick * group.interval.every
        contents = signals.sample(rows, np.full(len(plans), tick, dtype=np.int64), at).messages()
        for row, content in enumerate(contents):
            made[row].append(content)
            times[row].append(int(at[row]))
    return [(plan.id, times[row], made[row]) for row, plan in enumerate(plans)]


def chart_rows(messages: Sequence[dict[str, object]]) -> list[tuple[str, str]]:
    """Draw each metric as one line: numbers as bars, with minimum and maximum; words by their first letter."""
    names = dict.fromkeys(name for message in messages for name in message)
    rows = []
    for name in names:
        values = [message.get(name) for message in messages]
        numbers = [value for value in values if _is_number(value)]
        if numbers:
            low, high = min(numbers), max(numbers)
            rows.append((name, f"{_bars(values, low, high)}  {low:g} … {high:g}"))
        else:
            letters = "".join(str(value or " ")[0] for value in values)
            words = dict.fromkeys(str(value) for value in values if value)
            rows.append((name, f"{letters}  {', '.join(words)}"))
    return rows


def _bars(values: Sequence[object], low: float, high: float) -> str:
    span = (high - low) or 1.0
    return "".join(
        BARS[1 + round(7 * (value - low) / span)] if _is_number(value) else "·" for value in values
    )


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and math.isfinite(value)


def plan(
    scenario: given.ScenarioArgument,
    *,
    sensors: given.SensorsOption = None,
    interval: given.IntervalOption = None,
    changes: given.SetOption = None,
    as_json: given.JsonOption = False,
) -> None:
    """Predict messages, bytes, sockets and memory of a scenario."""
    from fleet_sim.judging.report import rows_table
    from fleet_wire.telemetry import encode_telemetry

    chosen = given.prepared(scenario, sensors=sensors, interval=interval, changes=changes)
    rate, volume, count = 0.0, 0.0, 0
    for name, group in chosen.fleet.items():
        if not group.count:
            continue
        [(device, at, messages)] = previewed(chosen, name, 1, 1, int(time.time()) * 1000)
        size = len(encode_telemetry(at[0] // 1000, 0, at[0], messages[0])) + len(device) + PACKET_OVERHEAD
        rate += group.count * 1000.0 / group.interval.every
        volume += group.count * 1000.0 / group.interval.every * size
        count += group.count
    predicted = {
        "devices": count,
        "messages_per_second": round(rate, 1),
        "bytes_per_second": round(volume),
        "sockets": count + 1,
        "source_addresses": -(-count // PORTS_AN_ADDRESS),
        "memory_bytes": count * BYTES_A_DEVICE,
    }
    if as_json:
        say_json(predicted)
    else:
        say(rows_table(f"plan of {chosen.name}", plan_rows(predicted)))


def plan_rows(predicted: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return the rows of the table of `plan`."""
    return [
        ("devices", f"{predicted['devices']:,}"),
        ("messages", f"{predicted['messages_per_second']:,} a second"),
        ("network", f"{bytes_in_words(predicted['bytes_per_second'])} a second, MQTT, TCP and IP included"),
        ("sockets", f"{predicted['sockets']:,}"),
        ("source addresses", f"{predicted['source_addresses']:,} (--bind gives more than one)"),
        (
            "memory",
            f"{bytes_in_words(predicted['memory_bytes'])}, and what devices keep while they are offline",
        ),
    ]


def bytes_in_words(count: float) -> str:
    """Return a number of bytes in the largest unit of which there is at least one: 2000000 -> `2.0 MB`."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count:,.0f} B"


def doctor(
    *,
    sensors: Annotated[int, typer.Option("--sensors", "-c", min=1, max=given.MOST_SENSORS)] = 1000,
    host: given.HostOption = None,
    port: given.PortOption = None,
) -> None:
    """Check this machine and the broker.

    Open files, ports, and whether the broker answers. Exit 1 where something is too small or missing.
    """
    import asyncio

    from fleet_sim.devices.endpoint import CannotReach
    from fleet_sim.devices.probe import probe
    from fleet_sim.judging.report import rows_table
    from fleet_sim.scenario.loading import load_scenario
    from fleet_sim.scenario.profiles import profile_names

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = "unlimited" if hard == resource.RLIM_INFINITY else f"{hard}"
    files_ok = hard == resource.RLIM_INFINITY or hard >= sensors
    ports = _ports()
    target = given.endpoint(
        given.broker_with(load_scenario(profile_names()[0], env=os.environ).broker, host=host, port=port),
        None,
        None,
    )
    answers = "answers"
    try:
        asyncio.run(probe(target, f"fleet-sim-doctor-{os.getpid()}"))
    except CannotReach as problem:
        answers = str(problem)
    rows = [
        ("open files", f"{'ok' if files_ok else 'TOO FEW'}  {soft} now, at most {most}, {sensors} wanted"),
        (
            "ports",
            f"{'ok' if ports >= sensors else 'TOO FEW'}  {ports} for one address; --bind adds addresses",
        ),
        ("broker", f"{'ok' if answers == 'answers' else 'MISSING'}  {target.url} {answers}"),
    ]
    say(rows_table("doctor", rows))
    raise typer.Exit(0 if files_ok and ports >= sensors and answers == "answers" else 1)


def _ports() -> int:
    limits = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if not limits.exists():
        return PORTS_AN_ADDRESS
    first, last = map(int, limits.read_text(encoding="ascii").split())
    return last - first + 1


def init(
    path: Annotated[Path, typer.Argument()] = Path("scenario.yaml"),
    *,
    profile: Annotated[str, typer.Option("--profile", help="The profile to start from.")] = "cold-chain",
) -> None:
    """Write a scenario file to start from.

    An existing file is never overwritten.
    """
    from fleet_sim.scenario.profiles import path_of, profile_names

    if profile not in profile_names():
        raise typer.BadParameter(
            f"--profile: there is no profile '{profile}'; one of {', '.join(profile_names())}"
        )
    if path.exists():
        raise typer.BadParameter(f"{path} exists already; give another path")
    from fleet_wire.errors import system_text

    text = path_of(profile).read_text(encoding="utf-8")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise typer.BadParameter(f"{path} cannot be written: {system_text(problem)}") from None
    say(f"wrote {path}; try: fleet-sim run {path}")
