"""What a simulated fleet costs: CPU a message, connects a second, memory a device.

Run by `./bench`, or alone: `python -m benchmarks.simulator_cost`. The reference in the same run is the bare price of
the system calls: one `send` and one `recv` of a packet of the same size on a loopback connection, which no
device can do without.
"""

import asyncio
import json
import resource
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from fleet_sim.devices.counters import Snapshot
from fleet_sim.devices.endpoint import Endpoint
from fleet_sim.runtime.deployment import RunOptions, collect_rarely
from fleet_sim.runtime.fleet import FleetRun
from fleet_sim.scenario.loading import load_scenario, scaled
from tests.servers.broker import Broker

PACKET = bytes(160)
CALLS = 20_000
LONGEST_MS = 3_600_000


def system_calls_us() -> float:
    """Return the CPU microseconds of a `send` and a `recv` on a loopback connection."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as near,
    ):
        far, _ = server.accept()
        with far:
            begun = time.process_time()
            for _ in range(CALLS):
                near.send(PACKET)
                far.recv(256)
            return (time.process_time() - begun) / CALLS * 1e6


async def steady(
    port: int, directory: Path, sensors: int, interval_ms: int, seconds: int
) -> dict[str, float]:
    """CPU a message once all are up, memory a device, and the lag of the pacing."""
    scenario = scaled(
        load_scenario("cold-chain"),
        sensors=sensors,
        duration_ms=LONGEST_MS,
        interval_ms=interval_ms,
    )
    run = FleetRun(
        scenario, RunOptions(Endpoint("127.0.0.1", port), directory, rate=2_000.0, observe=False, settle=2.0)
    )
    marks: list[tuple[float, int, float, float]] = []

    def note(now: Snapshot) -> None:
        if now.up == sensors:
            marks.append((time.process_time(), now.published, now.lag_now.p99, now.ack_now.p99))
        if len(marks) > seconds:
            run.stop()

    run.on_second = note
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = await run.run()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (first, sent_first, *_), (last, sent_last, lag, ack) = marks[1], marks[-1]
    return {
        "messages_per_second": (sent_last - sent_first) / (len(marks) - 2),
        "cpu_us_per_message": (last - first) / (sent_last - sent_first) * 1e6,
        "kb_per_device": (after - before) / sensors,
        "lag_p99_ms": lag / 1000,
        "ack_p99_ms": ack / 1000,
        "unfinished": result.unfinished,
    }


async def ramp(port: int, directory: Path, sensors: int) -> dict[str, float]:
    """How fast devices connect, subscribe and are born, and the CPU of each."""
    scenario = scaled(load_scenario("cold-chain"), sensors=sensors, duration_ms=600_000, interval_ms=600_000)
    run = FleetRun(
        scenario, RunOptions(Endpoint("127.0.0.1", port), directory, rate=10_000.0, observe=False, settle=2.0)
    )
    going = asyncio.create_task(run.run())
    begun, cpu = time.monotonic(), time.process_time()
    while not run.devices or run.up < sensors:  # noqa: ASYNC110 - measured to 5 ms
        await asyncio.sleep(0.005)
    took, spent = time.monotonic() - begun, time.process_time() - cpu
    run.stop()
    await going
    return {"connects_per_second": sensors / took, "cpu_us_per_connect": spent / sensors * 1e6}


def measure(sensors: int = 2000, interval_ms: int = 500, seconds: int = 10) -> dict[str, Any]:
    """Measure on a broker of its own: `sensors` devices, each with a message every `interval_ms`."""
    with tempfile.TemporaryDirectory(prefix="fleet-sim-bench-") as name:
        directory = Path(name)
        broker = Broker(directory / "broker")
        broker.start()
        try:
            reference = system_calls_us()
            collect_rarely()
            found: dict[str, Any] = {"sensors": sensors, "system_calls_us": reference}
            found |= asyncio.run(steady(broker.port, directory / "steady", sensors, interval_ms, seconds))
            found |= asyncio.run(ramp(broker.port, directory / "ramp", sensors))
            found["times_system_calls"] = found["cpu_us_per_message"] / reference
            return found
        finally:
            broker.kill()


if __name__ == "__main__":
    print(json.dumps(measure(*map(int, sys.argv[1:])), indent=2))
