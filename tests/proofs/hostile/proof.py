"""Messages no device should send: odd values, nonsense, noise, huge and deep maps, other versions, any topic.

Broken: `count` messages (a million in full), among good ones. Most go through the real fold in this process; the lines
of some are written to a real InfluxDB and read back; one of fifty goes over a real broker to a real gateway, with
topics and retained messages of every kind.

Compared: each message with how it was counted, after every batch; the good devices' windows and alerts with those of a
second gateway that gets no hostile messages, bit for bit; the state before and after a restart; stored windows with the
points in InfluxDB.

Failures: an exception; a message that is not exactly once new, duplicate, or in quarantine with its topic, bytes and a
reason; a payload accepted that another msgpack library does not read as a map; a good device that is affected; a bound
on devices, series, texts or quarantine exceeded; a line InfluxDB refuses; a batch that takes more than 3 s of CPU.
"""

from __future__ import annotations

import os
import time
import warnings

from tests.proofs.ground.memory import MB, take_sample
from tests.proofs.hostile.inside import PairedGateways
from tests.proofs.hostile.lines import write_and_read_back
from tests.proofs.hostile.wire import attack
from tests.proofs.proof import Proof, Setting, Unavailable

CHUNK = 25_000
ROUND = 100_000
"""Messages for one gateway; its tables are full after some ten thousand."""
OVER_THE_WIRE = 50
"""One message of so many goes over a broker."""
MOST_LINES = 20_000


def run(setting: Setting) -> None:
    """Send `count` hostile messages."""
    wire = max(200, setting.count // OVER_THE_WIRE)
    lines = min(MOST_LINES, setting.count // 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        _inside(setting, setting.count - wire - lines)
        _lines(setting, lines)
    setting.say(f"{wire:,} messages over a broker")
    attack(setting, wire)
    setting.findings.faults["over the wire"] += wire


def _inside(setting: Setting, count: int) -> None:
    findings, started = setting.findings, time.monotonic()
    slowest = cpu = 0.0
    resident: list[int] = []
    left = count
    while left > 0 and findings.ok:
        this = min(ROUND, left)
        left -= this
        pair = PairedGateways(setting.place("pair"), setting.rng, findings)
        _round(pair, this)
        findings.faults.update(pair.kinds)
        slowest, cpu = max(slowest, pair.slowest), cpu + pair.cpu
        pair.close()
        findings.runs += 1
        sample = take_sample(os.getpid())
        resident.append(sample.resident // MB if sample else 0)
        sent = findings.faults.total()
        setting.say(f"{sent:,} messages, {sent / (time.monotonic() - started):,.0f}/s, {resident[-1]} MB")
    findings.measured |= {
        "slowest batch, s of CPU": round(slowest, 3),
        "us of CPU a message": round(cpu / max(1, count) * 1e6),
        "messages/s": round(count / (time.monotonic() - started)),
        "MB after each round": resident,
    }


def _round(pair: PairedGateways, count: int) -> None:
    left = count
    while left > 0:
        chunk = min(CHUNK, left)
        left -= chunk
        if not pair.chunk(chunk):
            return
        pair.restart()
        pair.judge_bounds()
    pair.judge_good()
    pair.judge_store()


def _lines(setting: Setting, count: int) -> None:
    try:
        setting.say(f"{count:,} messages whose lines go to InfluxDB")
        write_and_read_back(setting, count)
        setting.findings.faults["lines to InfluxDB"] += count
    except Unavailable as error:
        setting.findings.measured["lines written"] = f"not run: {error}"
        setting.say(f"not written to InfluxDB: {error}")


PROOF = Proof(
    "hostile",
    "a million messages no device should send",
    "messages",
    full=1_000_000,
    quick=20_000,
    run=run,
)
