"""A million messages no device should send: odd values, nonsense, noise, huge and deep maps, other versions, any topic.

Most of them go through the real fold in this process, among good messages, with exact accounting after every batch:
each is new, a duplicate or in quarantine once, with its topic, its bytes and a reason; nothing raises; what another
reader of msgpack takes for no map is never let in; the good devices' windows and alerts are those of a gateway that
hears no others, bit for bit; after each chunk the state comes back from journal and checkpoint alone, and the bounds
on devices, series, texts and quarantine hold. What gets through is written to a real InfluxDB and read back. A share
goes over a real broker to a real gateway, with topics and retained messages of every kind.
"""

from __future__ import annotations

import os
import time
import warnings

from tests.proofs.ground.memory import MB, look_at
from tests.proofs.hostile.inside import Siege
from tests.proofs.hostile.lines import write_and_read_back
from tests.proofs.hostile.wire import besiege
from tests.proofs.proof import Proof, Setting, Unavailable

CHUNK = 25_000
ROUND = 100_000
"""Messages after which a fresh gateway is besieged: its tables are full after some ten thousand."""
OVER_THE_WIRE = 50
"""Every so manieth message goes over a broker."""
MOST_LINES = 20_000


def run(setting: Setting) -> None:
    """Send `count` hostile messages."""
    wire = max(200, setting.count // OVER_THE_WIRE)
    lines = min(MOST_LINES, setting.count // 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        _inside(setting, setting.count - wire - lines)
        _lines(setting, lines)
    setting.say(f"{wire:,} over a broker")
    besiege(setting, wire)
    setting.tally.faults["over the wire"] += wire


def _inside(setting: Setting, count: int) -> None:
    tally, started = setting.tally, time.monotonic()
    slowest = cpu = 0.0
    resident: list[int] = []
    left = count
    while left > 0 and tally.ok:
        this = min(ROUND, left)
        left -= this
        siege = Siege(setting.place("siege"), setting.rng, tally)
        _round(siege, this)
        tally.faults.update(siege.kinds)
        slowest, cpu = max(slowest, siege.slowest), cpu + siege.cpu
        siege.close()
        tally.runs += 1
        look = look_at(os.getpid())
        resident.append(look.resident // MB if look else 0)
        sent = tally.faults.total()
        setting.say(f"{sent:,} messages, {sent / (time.monotonic() - started):,.0f}/s, {resident[-1]} MB")
    tally.measured |= {
        "slowest batch, s of CPU": round(slowest, 3),
        "us of CPU a message": round(cpu / max(1, count) * 1e6),
        "messages/s": round(count / (time.monotonic() - started)),
        "MB after each round": resident,
    }


def _round(siege: Siege, count: int) -> None:
    left = count
    while left > 0:
        chunk = min(CHUNK, left)
        left -= chunk
        if not siege.chunk(chunk):
            return
        siege.restart()
        siege.judge_bounds()
    siege.judge_good()
    siege.judge_store()


def _lines(setting: Setting, count: int) -> None:
    try:
        setting.say(f"{count:,} whose lines go to InfluxDB")
        write_and_read_back(setting, count)
        setting.tally.faults["lines to InfluxDB"] += count
    except Unavailable as error:
        setting.tally.measured["lines written"] = f"not run: {error}"
        setting.say(f"not written to InfluxDB: {error}")


PROOF = Proof(
    "hostile",
    "a million messages no device should send",
    "messages",
    full=1_000_000,
    quick=20_000,
    run=run,
)
