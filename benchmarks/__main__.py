"""`./bench`: measurements, each against a reference in the same run. These are no tests: no number fails."""

import argparse
import importlib
import sys
from pathlib import Path
from types import ModuleType

from benchmarks.measure import report
from edge_gateway.errors import CannotReach
from tests.servers.process import ServerFailed

BENCHMARKS = {
    "gateway": "drain a broker's backlog: the gateway, Telegraf, mosquitto_sub",
    "steady": "a fleet that sends in real time: CPU and memory of the gateway and of Telegraf",
    "durability": "bytes written to disk for each reading and commit, and in a day",
    "alerts": "from a reading over its limit to the command at the device",
    "simulator": "what a simulated fleet costs, against the bare system calls",
    "fold": "what decoding, windows, rules and the whole fold cost, without broker and disk",
    "rules": "what many rules cost: loading, a reading, memory",
    "store": "what the store costs a window: CPU, bytes written and kept",
}


def parser() -> tuple[argparse.ArgumentParser, dict[str, ModuleType]]:
    top = argparse.ArgumentParser(prog="./bench", description=__doc__.split(":", 1)[1].strip())
    commands = top.add_subparsers(dest="benchmark", required=True, metavar="BENCHMARK")
    modules = {}
    for name, about in BENCHMARKS.items():
        module = modules[name] = importlib.import_module(f"benchmarks.{name}")
        command = commands.add_parser(name, help=about, description=module.__doc__)
        command.add_argument("--rounds", type=int, default=3, help="how often each is measured (3)")
        command.add_argument("--json", type=Path, metavar="FILE", help="also write all that was measured")
        module.add_arguments(command)
    return top, modules


def main() -> None:
    top, modules = parser()
    arguments = top.parse_args()
    try:
        report(list(modules[arguments.benchmark].run(arguments)), arguments.json)
    except (ServerFailed, CannotReach) as failure:
        sys.exit(f"bench: {failure}")


if __name__ == "__main__":
    main()
