"""What a simulated fleet costs: CPU a QoS 1 publish, memory a connection, connects a second.

Measured in steady state, when all are connected. The reference in the same run is one `send` and one `recv` of a packet
of the same size on a loopback connection, the least that a connection for each device costs.
"""

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.measure import Comparison, Measured, Quantity

QUANTITIES = {
    "publish": Quantity("µs of CPU"),
    "rate": Quantity("messages/s", 0),
    "memory": Quantity("KB a device"),
    "connect": Quantity("µs of CPU", 0),
    "connects": Quantity("a second", 0),
    "ack p99": Quantity("ms"),
    "lag p99": Quantity("ms"),
}
FLEETS = ("2000:500", "15000:5000")
REFERENCE = "send + recv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fleets", nargs="+", default=FLEETS, metavar="DEVICES:MS", help="devices, and how often each sends"
    )
    parser.add_argument("--seconds", type=int, default=15, help="how long each is measured (15)")


def run(arguments: argparse.Namespace) -> Iterator[Comparison]:
    for fleet in arguments.fleets:
        devices, interval_ms = fleet.split(":")
        rounds = [measured(devices, interval_ms, str(arguments.seconds)) for _ in range(arguments.rounds)]
        yield Comparison(
            f"{int(devices):,} devices, each every {interval_ms} ms",
            REFERENCE,
            QUANTITIES,
            {name: [one[name] for one in rounds] for name in rounds[0]},
        )


def measured(devices: str, interval_ms: str, seconds: str) -> dict[str, Measured]:
    """Measure one fleet in a process of its own, and the reference."""
    command = [sys.executable, "-m", "benchmarks.simulator_cost", devices, interval_ms, seconds]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    nothing = dict.fromkeys(QUANTITIES, math.nan)
    return {
        "fleet-sim": {
            "publish": found["cpu_us_per_message"],
            "rate": found["messages_per_second"],
            "memory": found["kb_per_device"],
            "connect": found["cpu_us_per_connect"],
            "connects": found["connects_per_second"],
            "ack p99": found["ack_p99_ms"],
            "lag p99": found["lag_p99_ms"],
        },
        REFERENCE: {**nothing, "publish": found["system_calls_us"]},
    }
