"""A trial says what a reload does, alert by alert, and changes nothing."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from edge_gateway.records import codec
from edge_gateway.rules.inspection.changes import RuleChange, compare
from edge_gateway.rules.inspection.trial import TrialRegistry, reload_on_trial
from edge_gateway.rules.language.ruleset import Level, LevelChange, NoData, Override, Rule, RuleSet
from tests.gateway.rules.fleet import Stage

EXPRESSIONS = (
    "t",
    "u",
    "t + u",
    "avg_over_time ( t , 1m )",
    "max_over_time ( u , 5m ) - t",
    "rate ( t , 1m )",
    "fresh",
)
CONDITIONS = ('door == "open"', 't > 5 and tag.line == "L1"', 'door != "ajar"')
SITES = ("berlin", "lyon", "oslo")


def drawn(random: Random, name: str) -> Rule:
    condition = random.random() < 0.3
    waits = random.choice((0, 0, 30_000))
    levels = (Level("warning", for_ms=waits),) if condition else (
        Level("warning", limit=4.0, clear=random.choice((None, 2.0)), for_ms=waits),
        *((Level("critical", limit=12.0),) if random.random() < 0.5 else ()),
    )  # fmt: skip
    override = Override({"site": [random.choice(SITES)]}, (LevelChange("warning", for_ms=1_000),))
    return Rule(
        name=name,
        group="g",
        match=random.choice(((), (), ({"site": [random.choice(SITES)]},), ({"line": ["L*"]},))),
        expr=random.choice(CONDITIONS if condition else EXPRESSIONS),
        levels=levels,
        keep_ms=random.choice((0, 0, 20_000)),
        no_data=random.choice((None, None, NoData(20_000, "u", random.choice(("alerting", "ok")), "info"))),
        overrides=random.choice(((), (override,))),
        on_change=random.choice(("keep", "keep", "keep", "reset")),
    )


def edited(random: Random, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """The rules after a few edits, in another order."""
    new: list[Rule] = []
    for rule in rules:
        other = drawn(random, rule.name)
        match random.randrange(8):
            case 0:
                continue
            case 1:
                new.append(replace(rule, name=f"{rule.name}x"))
            case 2:
                new.append(replace(rule, expr=other.expr, levels=other.levels, overrides=other.overrides))
            case 3:
                new.append(replace(rule, match=other.match))
            case 4:
                new.append(replace(rule, no_data=other.no_data, keep_ms=other.keep_ms))
            case 5:
                new.append(other)
            case _:
                new.append(rule)
    new += [drawn(random, f"New{number}") for number in range(random.randrange(3))]
    if random.random() < 0.4:
        new.append(Rule(name="derived", group="g", record=True, expr=f"t * {random.randint(2, 3)}"))
    random.shuffle(new)
    return tuple(new)


def played(random: Random, rules: tuple[Rule, ...]) -> Stage:
    """A stage on which some alerts fire and others wait."""
    stage = Stage(*rules)
    for number in range(9):
        line = random.choice(("L1", "L2", "M1"))
        stage.fleet.born(f"d{number}", random.choice(SITES), line=line)
    second = 1.0
    for _ in range(60):
        second += random.choice((0.5, 2, 8))
        device = f"d{random.randrange(9)}"
        at = stage.fleet.registry.find(device)
        assert at is not None
        values: dict[str, Any] = {
            "t": random.uniform(0, 15),
            "u": random.uniform(0, 15),
            "door": random.choice(("open", "shut")),
        }
        kept: dict[str, Any] = dict(random.sample(sorted(values.items()), random.randint(1, 3)))
        stage.read_at(second, device, stage.fleet.registry.device_site[at], kept)
        if random.random() < 0.3:
            stage.tick(second)
    return stage


def states(stage: Stage) -> dict[tuple[str, str], tuple[str, str, str]]:
    """(rule, device) to (state, level, onset) of every active alert."""
    return {
        (each.rule, each.subject): (each.state, each.level, each.id)
        for each in stage.evaluator.active_alerts()
    }


def check_effect(change: RuleChange, before: dict[str, Any], after: dict[str, Any], touched: int) -> None:
    """What is said of a rule's state is what became of it, by device."""
    if change.change == "removed" or change.effect.startswith("reset"):
        assert not after
        assert touched == len(before)
    elif change.change == "added":
        assert (after, touched) == ({}, 0)
    elif change.change == "unchanged":
        assert (after, touched) == (before, 0)
    elif change.effect.startswith("drops"):
        assert all(state == "firing" for state, *_ in after.values())
        assert after.keys() <= before.keys()
    elif "no longer fit" not in change.effect and "silence" not in change.effect:
        assert after.keys() == before.keys()


@pytest.mark.parametrize("seed", range(40))
def test_what_a_trial_says_is_what_a_reload_does(seed: int) -> None:
    random = Random(seed)
    old = tuple(drawn(random, f"R{number}") for number in range(6))
    stage = played(random, old)
    new = RuleSet(edited(random, old))
    registry, before = stage.fleet.registry, states(stage)
    kept = codec.encode(stage.evaluator.snapshot()), registry.numbering, list(registry.metric_names)
    said = reload_on_trial(stage.evaluator, registry, new).transitions
    changes = compare(stage.evaluator.rules, new)
    assert (codec.encode(stage.evaluator.snapshot()), registry.numbering, list(registry.metric_names)) == kept
    assert said == stage.evaluator.reload(new)
    after = states(stage)
    for change in changes:
        if not change.rule.record:
            name = change.rule.name
            then, now = (
                {device: state for (rule, device), state in each.items() if rule == name}
                for each in (before, after)
            )
            check_effect(change, then, now, sum(each.rule == name for each in said))


def test_the_trials_reach_every_effect() -> None:
    effects = set()
    for seed in range(40):
        random = Random(seed)
        old = tuple(drawn(random, f"R{number}") for number in range(6))
        stage, new = played(random, old), RuleSet(edited(random, old))
        touched = {
            each.rule for each in reload_on_trial(stage.evaluator, stage.fleet.registry, new).transitions
        }
        effects |= {
            (each.change, each.effect.split()[0])
            for each in compare(stage.evaluator.rules, new)
            if each.rule.name in touched
        }
    assert effects >= {("removed", "its"), ("changed", "reset:"), ("changed", "drops"), ("changed", "keeps")}


def test_new_names_are_numbered_on_trial_only() -> None:
    stage = Stage()
    registry = stage.fleet.registry
    stage.fleet.born("d", line="L1")
    registry.metric("t")
    trial = TrialRegistry(registry)
    assert trial.metric("t") == registry.metric("t")
    assert [trial.metric(name) for name in ("new", "newer", "new")] == [1, 2, 1]
    code = trial.strings.code("some text")
    assert trial.strings.code("some text") == code != trial.strings.code("another")
    assert trial.strings.text(code) == "some text"
    assert trial.strings.text(trial.strings.code("true")) == "true"
    assert registry.strings.known("some text") is None
    assert registry.metric_names == ["t"]
    assert trial.derived(0, 0) == -1
    assert (trial.devices, trial.type(0), dict(trial.tags(0))) == (1, "freezer", dict(registry.tags(0)))
    assert (trial.series_epoch, len(trial.series_metric), trial.units(0)) == (registry.series_epoch, 0, {})
