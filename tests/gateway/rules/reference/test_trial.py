"""The fold against the reference: the same alerts, notices and commands, whatever the rules, order and batches."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from tests.gateway.rules.reference.device import Message
from tests.gateway.rules.reference.drawn_rules import drawn_file
from tests.gateway.rules.reference.drawn_stream import BEGINNINGS, Item, Stream
from tests.gateway.rules.reference.trial import as_reload, by_gateway, by_reference, trial

TRIALS = 120
TOGETHER = 20


@pytest.mark.parametrize("first", range(0, TRIALS, TOGETHER))
def test_the_fold_does_what_the_reference_does(first: int) -> None:
    for seed in range(first, first + TOGETHER):
        trial(seed)


def test_the_trials_make_enough_happen() -> None:
    happened: Counter[str] = Counter()
    untold = commands = 0
    for seed in range(150):
        random = Random(seed)
        start = random.choice(BEGINNINGS)
        file = drawn_file(random, 5, start)
        for deed in by_reference(file, Stream(random, 60, start=start, file=file).items):
            happened.update((deed.event, deed.cause))
            untold += not deed.live
            commands += len(deed.commands)
    assert min(happened[event] for event in ("pending", "firing", "resolved", "no_data", "expired")) > 50
    assert min(happened[event] for event in ("escalated", "deescalated", "repeat", "released")) > 20
    assert min(happened[cause] for cause in ("schedule", "reload", "removed")) > 10
    assert min(untold, commands) > 20


@pytest.mark.parametrize("seed", range(3))
def test_a_long_burst_of_one_device(seed: int) -> None:
    """More rows of one device at once than a range takes in together."""
    random = Random(seed)
    file = drawn_file(random, 6, BEGINNINGS[0])
    stream = Stream(random, 0)
    for _ in range(150):
        stream.send(stream.sources[0])
    together: list[Item] = [
        item._replace(wall=stream.wall, listening=0) for item in stream.items if isinstance(item, Message)
    ]
    expected = by_reference(file, together)
    for most in (1, 7, 500):
        assert by_gateway(as_reload(file), together, most) == expected
