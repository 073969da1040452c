"""Random trials of the fold against the reference: `python -m tests.gateway.rules.reference.trial COUNT [FIRST]`."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
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
from edge_gateway.records.inputs import Batch, Moment, Reload
from edge_gateway.records.inputs import Tick as TimeTick
from edge_gateway.rules.files.load import load_rules
from fleet_wire import control_messages, topics
from fleet_wire.control_messages import MetricInfo, encode_birth
from fleet_wire.telemetry import encode_telemetry
from tests.gateway.fold.given import settings
from tests.gateway.rules.reference.definitions import Definition, rule_file
from tests.gateway.rules.reference.device import Birth, Message
from tests.gateway.rules.reference.drawn import (
    MAX_READING_AGE,
    START,
    Item,
    Stream,
    Tick,
    drawn_lookbacks,
    drawn_rules,
)
from tests.gateway.rules.reference.interpreter import Interpreter
from tests.gateway.rules.reference.telling import Deeds

AGE = f"{MAX_READING_AGE}ms"


def pipeline() -> Pipeline:
    return build_pipeline("gw", _settings())


@cache
def _settings() -> Any:
    return settings(commands={"max_reading_age": AGE}, metrics={})


def moment(wall: int) -> Moment:
    return Moment(wall, wall - START, monotonic=wall - START)


def as_reload(rules: tuple[Definition, ...], lookbacks: dict[str, int]) -> Reload:
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "rules.yaml"
        file.write_text(rule_file(rules, lookbacks))
        return Reload(moment(START), load_rules(file).to_plain())


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


def _inputs(stream: list[Item], most: int) -> list[Batch | TimeTick]:
    found: list[Batch | TimeTick] = []
    for (wall, is_tick), group in groupby(stream, key=lambda item: (item.wall, isinstance(item, Tick))):
        if is_tick:
            found.append(TimeTick(moment(wall)))
            continue
        sent = [item for item in group if not isinstance(item, Tick)]
        found.extend(_batch(wall, part) for part in _parts(sent, most))
    return found


def _parts(sent: list[Message | Birth], most: int) -> Iterator[list[Message | Birth]]:
    """Up to so many deliveries together; births, which a batch takes before its messages, by themselves."""
    for is_birth, group in groupby(sent, key=lambda item: isinstance(item, Birth)):
        own, size = list(group), 1 if is_birth else most
        for first in range(0, len(own), size):
            yield own[first : first + size]


def _batch(wall: int, sent: list[Message | Birth]) -> Batch:
    kinds = [topics.STATUS if isinstance(each, Birth) else topics.TELEMETRY for each in sent]
    return Batch(
        moment(wall),
        [topics.device_topic(each.site, each.device, kind) for each, kind in zip(sent, kinds, strict=True)],
        [_birth(each) if isinstance(each, Birth) else _telemetry(each) for each in sent],
    )


def _birth(birth: Birth) -> bytes:
    named = {metric: MetricInfo() for metric in birth.metrics}
    return encode_birth(control_messages.Birth(type="probe", boot=1, next=birth.next_seq, metrics=named))


def _telemetry(message: Message) -> bytes:
    return encode_telemetry(1, message.seq, message.ts, message.values)


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


def by_reference(rules: tuple[Definition, ...], lookbacks: dict[str, int], stream: list[Item]) -> list[Deeds]:
    interpreter = Interpreter(rules, lookbacks, MAX_READING_AGE)
    found: list[Deeds] = []
    for item in stream:
        match item:
            case Tick():
                found += interpreter.tick(item.listening, item.wall)
            case Birth():
                interpreter.born(item)
            case _:
                found += interpreter.read(item)
    return found


def trial(seed: int) -> Counter[str]:
    """Run one trial; what happened how often. AssertionError where the fold does something else."""
    random = Random(seed)
    rules, lookbacks = drawn_rules(random, random.randint(1, 5)), drawn_lookbacks(random)
    stream = Stream(random, random.choice((15, 30, 60))).items
    expected = by_reference(rules, lookbacks, stream)
    found = by_gateway(
        as_reload(rules, lookbacks),
        stream,
        random.choice((1, 2, 3, 100)),
        restart_every=random.choice((0, 0, 0, 3)),
    )
    for place, (one, other) in enumerate(zip(found, expected, strict=False)):
        assert one == other, f"seed {seed}, number {place}: {one}, expected {other}"
    assert len(found) == len(expected), f"seed {seed}: {found[len(expected) :]}, {expected[len(found) :]}"
    return Counter(each.event for each in expected)


def main(count: int, first: int = 0) -> None:
    failed, happened = [], Counter[str]()
    for seed in range(first, first + count):
        try:
            happened += trial(seed)
        except AssertionError as error:
            failed.append(seed)
            print(error)  # noqa: T201 - its output
    print(f"{count} trials, {len(failed)} failed {failed[:20]}; {dict(happened)}")  # noqa: T201


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
