"""The fold against the reference: the same alerts, notices and commands, whatever the rules, order and batches."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from tests.gateway.rules.reference.device import Message
from tests.gateway.rules.reference.drawn import Item, Stream, drawn_rules
from tests.gateway.rules.reference.trial import as_reload, by_gateway, by_reference, trial

TRIALS = 200
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
        rules = drawn_rules(random, 5)
        for deed in by_reference(rules, {}, Stream(random, 60).items):
            happened[deed.event] += 1
            untold += not deed.live
            commands += len(deed.commands)
    assert min(happened[event] for event in ("pending", "firing", "resolved", "no_data")) > 50
    assert min(happened[event] for event in ("escalated", "deescalated", "repeat", "released")) > 20
    assert min(untold, commands) > 20


@pytest.mark.parametrize("seed", range(3))
def test_a_long_burst_of_one_device(seed: int) -> None:
    """More rows of one device at once than a range takes in together."""
    random = Random(seed)
    rules = drawn_rules(random, 6)
    stream = Stream(random, 0)
    for _ in range(150):
        stream.send(stream.sources[0])
    moment = max(item.wall for item in stream.items)
    together: list[Item] = [
        item._replace(wall=moment, listening=0) for item in stream.items if isinstance(item, Message)
    ]
    expected = by_reference(rules, {}, together)
    for most in (1, 7, 500):
        assert by_gateway(as_reload(rules, {}), together, most) == expected


@pytest.mark.parametrize("seed", [4, 6, 7, 13])
def test_rules_that_are_active_at_times_do_the_same_whatever_the_batches(seed: int) -> None:
    """The reference knows no times of the week; one reading at a time stands in for it."""
    random = Random(seed)
    rules, stream = drawn_rules(random, 5), Stream(random, 60).items
    reload = as_reload(rules, {})
    times = [f"00:{minute:02}-00:{minute + 1:02}" for minute in range(59)]
    for rule in reload.rules["rules"]:
        for owner in random.choice(([rule], rule["levels"][:1], rule["levels"])):
            owner["at"] = random.sample(times, 40)
    expected = by_gateway(reload, stream, 1)
    assert any(deed.cause == "schedule" for deed in expected)
    for most, restart_every in ((1, 3), (3, 0), (100, 0)):
        assert by_gateway(reload, stream, most, restart_every=restart_every) == expected
