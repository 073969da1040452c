"""An hour of steady load with one fault of each kind: memory and open files stay flat, the spool within its budget.

    0 ── warm-up ── gateway killed, broker killed ──┬── frozen, cut off, hostile, late, reloads … ── 2/3 ── calm ── 1
                                                    └── memory and open files are sampled from here on

Broken: gateway, broker, InfluxDB, devices and rules, each once (`RESTARTS`, `FAULTS`). `count` is the length in
seconds.

Compared with the ledger: every window in the history and in InfluxDB, alerts, commands, counters.

Failures: memory that grows by more than 1 MB an hour; more than 4 files more open at the end; a journal over its
budget; anything lost, double or wrong.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median

from fleet_sim.judging.stored import InfluxPlace
from fleet_wire.topics import TELEMETRY, device_topic
from tests.proofs.ground.field import RULES, Fleet, forwarded, scenario_text, wait_settled
from tests.proofs.ground.judging import judge_all
from tests.proofs.ground.memory import MB, Sample, Watch, most_resident, slope
from tests.proofs.ground.sections import FAST_COMMANDS
from tests.proofs.ground.stream import Publisher
from tests.proofs.proof import Proof, Setting
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway
from tests.servers.influx import Influx
from tests.servers.process import wait_until

DEVICES = 200
SITE = "gw-soak-site"
MOST_SLOPE = 1.0
"""MB an hour."""
MOST_FILES = 4
LONG_ENOUGH = 900.0
"""Seconds of samples below which a slope means nothing."""
BUDGET = 256 << 20
WARM = 0.25
EVENTFUL = 0.66
EVERY = ("5s", "10s", "20s")
BACK_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Field:
    """Everything that faults are injected into."""

    gateway: Gateway
    broker: Broker
    influx: Influx
    fleet: Fleet
    chance: random.Random


def run(setting: Setting) -> None:
    """Run the load with its faults for `count` seconds."""
    influx = setting.influx()
    broker = setting.broker()
    gateway = setting.gateway(
        broker,
        "gw-soak",
        windows=[{"every": every, "bucket": influx.fresh_bucket(), "keep": f"{30 + place}d"}
                 for place, every in enumerate(EVERY)],
        commands=FAST_COMMANDS,
    )  # fmt: skip
    gateway.reconfigure(
        influx=setting.forwarding(influx),
        spool={"path": str(gateway.spool), "commit_interval": "50ms", "max_bytes": f"{BUDGET}B"},
    )
    gateway.write_rules(RULES)
    setting.findings.recoveries.append(gateway.start())
    text = scenario_text(SITE, devices=DEVICES, every="1s", seed=setting.rng.randrange(1 << 31))
    fleet = Fleet(broker, setting.place("run"), text, settle=60.0)
    with Watch(lambda: gateway.pid, every=1.0) as watch, fleet:
        field = Field(gateway, broker, influx, fleet, setting.rng)
        since = _hour(setting, field)
    _judge_flat(setting, watch.since(since))
    _judge_spool(setting, gateway)
    report = wait_settled(gateway, fleet.ledger)
    gateway.wait_for(forwarded)
    place = InfluxPlace(influx.url, influx.org, influx.token)
    judge_all(setting.findings, gateway, fleet.ledger, report, place)
    setting.findings.runs += 1


def _hour(setting: Setting, field: Field) -> float:
    """Run the load with its faults; return from when (monotonic seconds) memory must stay flat."""
    began, length = time.monotonic(), float(setting.count)
    for name, fault in _due(began, RESTARTS, 0.05 * length, WARM * length):
        _do(setting, name, fault, field)
    flat_from = time.monotonic() + 0.1 * length
    for name, fault in _due(began, FAULTS, WARM * length, EVENTFUL * length):
        _do(setting, name, fault, field)
    time.sleep(max(0.0, began + length - time.monotonic()))
    return flat_from


def _due(
    began: float, faults: Mapping[str, Callable[[Field], None]], first: float, last: float
) -> Iterator[tuple[str, Callable[[Field], None]]]:
    """Inject the faults, evenly spaced between `first` and `last` seconds."""
    for place, pair in enumerate(faults.items()):
        at = began + first + (last - first) * place / len(faults)
        time.sleep(max(0.0, at - time.monotonic()))
        yield pair


def _do(setting: Setting, name: str, fault: Callable[[Field], None], field: Field) -> None:
    setting.say(name)
    fault(field)
    setting.findings.faults[name] += 1


# --- the faults


def _kill_gateway(field: Field) -> None:
    field.gateway.kill()
    field.gateway.start()


def _kill_broker(field: Field) -> None:
    """Kill the broker: what it had acknowledged and not delivered is resent from the devices' buffers."""
    field.broker.restart(kill=True)
    wait_until(field.fleet.all_up, BACK_WITHIN, "the fleet is back")
    field.gateway.wait_for(lambda report: report["broker"]["caught_up"])


def _freeze_gateway(field: Field) -> None:
    os.kill(field.gateway.pid, signal.SIGSTOP)
    time.sleep(2)
    os.kill(field.gateway.pid, signal.SIGCONT)


def _freeze_influx(field: Field) -> None:
    with field.influx.paused():
        time.sleep(3)


def _restart_influx(field: Field) -> None:
    if field.influx.runner is not None:
        field.influx.restart(kill=True)


def _cut_devices(field: Field) -> None:
    field.fleet.do(lambda: field.fleet.run.disconnect({"type": "probe"}, 2000))


def _send_late(field: Field) -> None:
    field.fleet.fault("late_batch", {"share": "20%"}, for_="3s")


def _send_twice(field: Field) -> None:
    field.fleet.fault("duplicate", {"share": "30%"}, p=0.5, for_="3s")


def _reboot_devices(field: Field) -> None:
    field.fleet.fault("reboot", {"share": "10%"})


def _send_nonsense(field: Field) -> None:
    """Send hostile messages under other device names, so that none is the fleet's."""
    with Publisher(field.broker, "nonsense") as publisher:
        publisher.publish(
            (device_topic(SITE, f"nobody-{number}", TELEMETRY), field.chance.randbytes(number))
            for number in range(500)
        )
        publisher.settle()


def _break_rules(field: Field) -> None:
    """Break the rule file and mend it: the rules in force stay throughout."""
    field.gateway.write_rules("version: 1\ngroups: nothing\n")
    field.gateway.wait_for(lambda report: bool(report["rules"]["problems"]))
    field.gateway.write_rules(RULES)
    field.gateway.wait_for(lambda report: not report["rules"]["problems"])


RESTARTS: Mapping[str, Callable[[Field], None]] = {
    "kill of the gateway": _kill_gateway,
    "kill of the broker": _kill_broker,
}
FAULTS: Mapping[str, Callable[[Field], None]] = {
    "gateway frozen": _freeze_gateway,
    "InfluxDB frozen": _freeze_influx,
    "InfluxDB killed": _restart_influx,
    "all devices cut off": _cut_devices,
    "late batches": _send_late,
    "duplicates": _send_twice,
    "devices rebooted": _reboot_devices,
    "nonsense": _send_nonsense,
    "broken rules": _break_rules,
}


# --- judged


def _judge_flat(setting: Setting, samples: list[Sample]) -> None:
    findings = setting.findings
    if len(samples) < 2:
        findings.forbid("nothing judged", "there are no samples of the gateway's memory")
        return
    lasted = samples[-1].at - samples[0].at
    per_hour = slope(samples) / MB
    findings.measured |= {"gateway_mb": round(most_resident(samples) / MB), "sampled_s": round(lasted)}
    if lasted >= LONG_ENOUGH:
        findings.measured["mb_per_hour"] = round(per_hour, 2)
        if per_hour > MOST_SLOPE:
            findings.forbid("memory grows", f"{per_hour:.1f} MB an hour over {lasted:.0f} s")
    tenth = max(1, len(samples) // 10)
    before = median(sample.files for sample in islice(samples, tenth))
    after = median(sample.files for sample in samples[-tenth:])
    findings.measured["files"] = int(after)
    if after > before + MOST_FILES:
        findings.forbid("files stay open", f"{before:.0f} at first, {after:.0f} in the end")


def _judge_spool(setting: Setting, gateway: Gateway) -> None:
    held = sum(path.stat().st_size for path in _files(gateway.spool / "journal"))
    setting.findings.measured["journal_mb"] = round(held / MB, 1)
    if held > BUDGET:
        setting.findings.forbid("spool over its budget", f"{held:,} bytes of journal")


def _files(directory: Path) -> Iterator[Path]:
    return (path for path in directory.rglob("*") if path.is_file())


PROOF = Proof(
    "soak", "an hour of steady load with one fault of each kind", "seconds", full=3600, quick=15, run=run
)
