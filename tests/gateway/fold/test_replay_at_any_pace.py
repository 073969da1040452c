"""A replay ends in the state that the first fold had, byte for byte, whatever its own pace is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as checks
from hypothesis import strategies as st

from edge_gateway.fold import pipeline as pace
from edge_gateway.fold.effects import Effects
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.replayed_windows import difference
from edge_gateway.fold.series_names import SeriesNames
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records import codec
from edge_gateway.records.closings import Closings
from edge_gateway.records.inputs import Forget, Input, StateLost, Tick, Trim
from edge_gateway.records.store_effects import effects_from_tree
from edge_gateway.windows import base_tier, open_windows
from tests.gateway.fold.given import START, batch, birth, moment, reading, settings

WINDOWS = [{"every": every, "bucket": every, "keep": "60d"} for every in ("2s", "4s", "20s")]
METRICS = {"temperature": {"range": [-40, 85], "p95": True}}
TIERS = (2_000, 4_000, 20_000)


def pipeline() -> Pipeline:
    return build_pipeline("gw", settings(windows=WINDOWS, metrics=METRICS))


@dataclass
class Sender:
    """A device: its clock, its next number, and messages that it keeps for later."""

    name: str
    boot: int = 1
    seq: int = 0
    clock: int = 0
    kept: list[tuple[str, bytes]] = field(default_factory=list)

    def message(self, at: int, **metrics: Any) -> tuple[str, bytes]:
        sent = reading(self.name, self.seq, at + self.clock, boot=self.boot, **metrics)
        self.seq += 1
        return sent


def lives(random: Random) -> Iterator[Input]:
    """Devices that are late, silent, or reboot with another clock; texts; a history that is trimmed; ticks."""
    senders = [Sender(f"f{number}") for number in range(random.randint(1, 6))]
    yield batch(0, *(birth(sender.name) for sender in senders if random.random() < 0.5))
    ms = 0
    for _ in range(random.randint(5, 40)):
        ms += random.choice([100, 400, 400, 1_500, 9_000])
        yield batch(ms, *_messages(senders, ms, random))
        if random.random() < 0.5:
            yield Tick(moment(ms + 50))
        if random.random() < 0.15:
            yield _rare(senders, ms, random)


def _messages(senders: Sequence[Sender], ms: int, random: Random) -> list[tuple[str, bytes]]:
    sent = []
    for sender in senders:
        if random.random() < 0.05:  # a reboot, often with a clock that is behind or ahead
            sender.boot, sender.seq = sender.boot + 1, 0
            sender.clock = random.choice([0, -30_000, -5_000, 60_000])
            sent += [birth(sender.name)] if random.random() < 0.5 else []
        for _ in range(random.choice([0, 1, 1, 3])):
            value: Any = random.choice([random.gauss(0, 9), 20.0, 1e300, "warm"])
            late = random.choice([0, 0, 0, 500, 3_000, 25_000])
            message = sender.message(ms - late, temperature=value, door=random.choice(["open", "shut"]))
            (sender.kept if random.random() < 0.2 else sent).append(message)
        if random.random() < 0.1:
            sent += sender.kept
            sender.kept = []
    return sent


def _rare(senders: Sequence[Sender], ms: int, random: Random) -> Input:
    cut = START + ms - random.choice([0, 10_000, 40_000])
    rare: list[Input] = [
        Forget(moment(ms + 60), random.choice(senders).name),
        Forget(moment(ms + 60), random.choice(senders).name, "door"),
        Trim(moment(ms + 60), [cut - cut % every for every in TIERS]),
        StateLost(moment(ms + 60)),
    ]
    return random.choice(rare)


@contextmanager
def some_pace(random: Random) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pace, "CLOSE_ROWS", random.choice([1, 600, 4_096]))
        patch.setattr(pace, "CLOSE_SHARE", random.choice([0, 4]))
        patch.setattr(open_windows, "CHEAPEST_WINDOW", random.choice([1, 512]))
        worth = random.choice([0, 1, 8])
        for module in (base_tier, open_windows):
            patch.setattr(module, "WORTH", worth)
        patch.setattr(base_tier, "PIECE", random.choice([1, 5, 1 << 14]))
        patch.setattr(base_tier, "SMALL", random.choice([0, 1 << 12]))
        patch.setattr(base_tier, "MANY", random.choice([2, 16]))
        patch.setattr(base_tier, "CREDIT_OF_A_CALL", random.choice([1, 256]))
        yield


def journaled(made: Effects, names: SeriesNames) -> tuple[Closings, Any]:
    """What a journal gives back of the effects of one input."""
    left, tree = codec.decode(codec.encode([made.closings, made.for_store(names)]))
    return msgspec.convert(left, Closings), effects_from_tree(tree)


def state_of(folded: Pipeline) -> bytes:
    """The whole state, but for how far the rules have read the registry: a tick without effect goes on with that."""
    tree = folded.snapshot()
    del tree["rules"]["known"]
    return codec.pack(tree)


@checks(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False))
def test_a_replay_at_another_pace_ends_in_the_same_state(random: Random) -> None:
    first, second = pipeline(), pipeline()
    names = SeriesNames(first.registry)
    for one in lives(random):
        with some_pace(random):
            made = first.fold(one)
        left, recorded = journaled(made, names)
        if not made.changed:
            continue
        with some_pace(random):
            again = second.fold(one, left)
        assert difference([again], recorded) == ""
        assert state_of(second) == state_of(first)
        if random.random() < 0.2:
            state = codec.encode(second.snapshot(), shuffle=True)
            second = pipeline()
            second.restore(codec.decode(state))
