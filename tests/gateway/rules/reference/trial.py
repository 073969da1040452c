"""Random trials of the fold against the reference."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

from edge_gateway.fold.effects import Effects
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records import codec
from edge_gateway.records.inputs import Batch, Input, Moment, Reload
from edge_gateway.records.inputs import Tick as TimeTick
from edge_gateway.rules.files.load import load_rules
from edge_gateway.rules.files.zone_data import read_zones
from fleet_wire import control_messages, topics
from fleet_wire.control_messages import MetricInfo, encode_birth, encode_death
from fleet_wire.telemetry import encode_telemetry
from tests.gateway.fold.given import settings
from tests.gateway.rules.reference.definitions import RuleFile
from tests.gateway.rules.reference.device import Birth, Message, Will
from tests.gateway.rules.reference.drawn_rules import ZONES, drawn_file
from tests.gateway.rules.reference.drawn_stream import BEGINNINGS, MAX_READING_AGE, Edit, Item, Stream, Tick
from tests.gateway.rules.reference.interpreter import Interpreter, Settings
from tests.gateway.rules.reference.telling import Deeds

AGE = f"{MAX_READING_AGE}ms"
SETTINGS = Settings(MAX_READING_AGE, ZONES)

Delivery = Message | Birth | Will


def pipeline() -> Pipeline:
    return build_pipeline("gw", _settings())


@cache
def _settings() -> Any:
    return settings(commands={"max_reading_age": AGE}, metrics={})


def moment(wall: int, listening: int) -> Moment:
    return Moment(wall, listening, monotonic=listening)


def as_reload(file: RuleFile, wall: int = BEGINNINGS[0], listening: int = 0) -> Reload:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "rules.yaml"
        path.write_text(file.text())
        return Reload(moment(wall, listening), load_rules(path).within(read_zones(None, ZONES)).to_plain())


def by_gateway(reload: Reload, stream: list[Item], most: int, *, restart_every: int = 0) -> list[Deeds]:
    """What the fold does, with up to so many messages in a batch; restored from a snapshot every so many inputs."""
    fold = pipeline()
    fold.fold(reload)
    found: list[Deeds] = []
    for number, given in enumerate(_inputs(stream, most)):
        found += deeds(fold.fold(given, number=given.moment.wall))
        if restart_every and number % restart_every == 0:
            state = codec.unpack(codec.pack(fold.snapshot()))
            fold = pipeline()
            fold.restore(state)
    return found


def _inputs(stream: list[Item], most: int) -> Iterator[Input]:
    for (wall, kind), group in groupby(stream, key=lambda item: (item.wall, _kind(item))):
        items = list(group)
        if kind is Tick:
            yield TimeTick(moment(wall, items[0].listening))
        elif kind is Edit:
            yield from (
                as_reload(each.file, wall, each.listening) for each in items if isinstance(each, Edit)
            )
        else:
            sent = [item for item in items if isinstance(item, Delivery)]
            yield from (_batch(part) for part in _parts(sent, most))


def _kind(item: Item) -> type | None:
    return type(item) if isinstance(item, Tick | Edit) else None


def _parts(sent: list[Delivery], most: int) -> Iterator[list[Delivery]]:
    """Up to so many deliveries together; births and wills, which a batch takes before its messages, by themselves."""
    for is_status, group in groupby(sent, key=lambda item: not isinstance(item, Message)):
        own, size = list(group), 1 if is_status else most
        for first in range(0, len(own), size):
            yield own[first : first + size]


def _batch(sent: list[Delivery]) -> Batch:
    kinds = [topics.TELEMETRY if isinstance(each, Message) else topics.STATUS for each in sent]
    return Batch(
        moment(sent[0].wall, sent[0].listening),
        [topics.device_topic(each.site, each.device, kind) for each, kind in zip(sent, kinds, strict=True)],
        [_payload(each) for each in sent],
    )


def _payload(each: Delivery) -> bytes:
    match each:
        case Message():
            return encode_telemetry(each.boot, each.seq, each.ts, each.values)
        case Birth():
            named = {metric: MetricInfo() for metric in each.metrics}
            born = control_messages.Birth(
                type="probe", boot=each.boot, next=each.next_seq, metrics=named, ts=each.ts
            )
            return encode_birth(born)
        case Will():
            return encode_death()


def deeds(effects: Effects) -> list[Deeds]:
    """What the fold did. A notice counts whether or not flapping muted it, which tests of muting judge."""
    return [
        Deeds(
            each.id,
            each.at,
            each.rule,
            each.subject,
            each.event,
            each.cause,
            each.state,
            each.level,
            each.was,
            not each.backlog,
            each.notify or bool(each.suppressed),
            tuple(command.name for command in each.commands),
        )
        for each in effects.alerts
        if (each.event, each.cause) != ("released", "time")
    ]


def by_reference(file: RuleFile, stream: list[Item]) -> list[Deeds]:
    interpreter = Interpreter(file, SETTINGS)
    return [deed for item in stream for deed in _told(interpreter, item)]


def _told(interpreter: Interpreter, item: Item) -> list[Deeds]:
    match item:
        case Tick():
            return interpreter.tick(item.listening, item.wall)
        case Birth():
            return interpreter.born(item)
        case Will():
            return interpreter.left(item)
        case Edit():
            return interpreter.reload(item.file, item.wall)
        case Message():
            return interpreter.read(item)


def trial(seed: int) -> list[Deeds]:
    """Run one trial; what happened. AssertionError where the fold does something else."""
    random = Random(seed)
    start = random.choice(BEGINNINGS)
    file = drawn_file(random, random.randint(1, 5), start)
    edits = file if random.random() < 0.5 else None
    stream = Stream(random, random.choice((15, 30, 60)), start=start, file=edits).items
    expected = by_reference(file, stream)
    most, restart_every = random.choice((1, 2, 3, 100)), random.choice((0, 0, 0, 3))
    found = by_gateway(as_reload(file, start), stream, most, restart_every=restart_every)
    if most > 1:  # the order of devices within a batch says nothing
        expected, found = (sorted(each, key=lambda deed: deed.device) for each in (expected, found))
    for place, (one, other) in enumerate(zip(found, expected, strict=False)):
        assert one == other, f"seed {seed}, number {place}: {one}, expected {other}"
    assert len(found) == len(expected), f"seed {seed}: {found[len(expected) :]}, {expected[len(found) :]}"
    return expected
