"""Alerts of groups: what they are told, what survives a restart, a replay and a reload, and what time costs."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from edge_gateway.records.alerts import Transition
from edge_gateway.rules.alerts.rule_state import Instant
from edge_gateway.rules.language.ruleset import RuleSet
from tests.gateway.rules.fleet import T0, Stage, happened
from tests.gateway.rules.groups.grouped import rules_in, stage_of

WARM = "{alert: Warm, expr: avg(x), by: [site], above: 10, clear: 8, for: 5s, keep_firing_for: 3s}"
DOWN = "{alert: Down, expr: 'share(no_data(x, 1m))', by: [site], above: 0.5}"


def told(transitions: list[Transition]) -> list[str]:
    return [f"{each.subject} {each.event} {each.cause} {(each.at - T0) / 1000:g}" for each in transitions]


def moved(stage: Stage) -> bool:
    return stage.evaluator.groups.moved


def test_an_alert_of_a_group_names_the_group_and_no_reading(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, DOWN)
    stage.read(1, "a", x=1.0)
    (found,) = stage.tick(61)
    assert (found.subject, found.site, found.metric) == ("site=berlin", "berlin", "x")
    assert (found.boot, found.seq, found.notify, found.commands) == (-1, -1, False, ())
    assert (found.value, found.limit, found.labels) == (1.0, 0.5, {"site": "berlin"})
    assert found.at == T0 + 61_000


def test_waits_count_in_listening_time_whatever_the_wall_clock_does(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, WARM)
    stage.read(1, "a", x=20.0)
    evaluator = stage.evaluator
    assert happened(evaluator.tick(1_000, T0 + 1_000)) == ["pending reading"]
    assert evaluator.tick(5_000, T0 + 900_000) == []
    (fired,) = evaluator.tick(6_000, T0 - 50_000)
    assert (fired.event, fired.at) == ("firing", T0 + 1_001), "stamps of an alert never go back"


def test_times_of_the_week_wait_for_a_clock_that_is_trusted(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, "{alert: A, expr: avg(x), by: [site], above: 10, at: ['00:00-01:00']}")
    stage.read(1, "a", x=20.0)
    assert stage.evaluator.tick(1_000, T0 + 1_000, trusted=False) == []
    assert happened(stage.evaluator.tick(2_000, T0 + 2_000)) == ["firing reading"]
    assert stage.evaluator.tick(3_000, T0 + 7_200_000, trusted=False) == []
    (found,) = stage.evaluator.tick(4_000, T0 + 7_200_000)
    assert (found.event, found.cause, found.value) == ("resolved", "schedule", None)


def test_a_value_that_nobody_has_any_more_ends_a_wait_and_no_alert(tmp_path: Path) -> None:
    slow = "{alert: Slow, expr: avg(x), by: [site], above: 10, for: 10m}"
    stage = stage_of(tmp_path, slow, WARM)
    stage.read(1, "a", x=20.0)
    assert told(stage.tick(1)) == ["site=berlin pending reading 1"] * 2
    assert told(stage.tick(6)) == ["site=berlin firing time 6"]
    assert told(stage.tick(302)) == ["site=berlin resolved expired 302"]
    assert [each.rule for each in stage.evaluator.firing()] == ["Warm"]


def test_a_group_without_devices_ends_its_alert(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, WARM, "{alert: Room, expr: max(x), by: [room], above: 10}")
    stage.fleet.born("a", room="1")
    stage.read(1, "a", x=20.0)
    assert told(stage.tick(1)) == ["room=1 firing reading 1", "site=berlin pending reading 1"]
    stage.fleet.born("a", room="2")
    assert told(stage.tick(2)) == ["room=1 resolved retired 2", "room=2 firing reading 2"]
    stage.fleet.registry.retire(np.array([0, 1]))
    assert told(stage.tick(3)) == ["room=2 resolved retired 3", "site=berlin resolved retired 3"]
    stage.evaluator.forget(np.array([0, 1]))
    assert stage.evaluator.groups.groups.find("site=berlin") is None
    assert stage.evaluator.groups.groups.find("site=lyon") is not None


def test_an_edit_of_limits_keeps_what_fires_and_another_by_ends_it(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, WARM)
    stage.read(1, "a", x=20.0)
    stage.tick(1)
    (fired,) = stage.tick(6)
    at = Instant(7_000, T0 + 7_000)
    assert stage.evaluator.reload(rules_in(tmp_path, WARM.replace("above: 10", "above: 15")), at) == []
    (active,) = stage.evaluator.active_alerts()
    assert (active.id, active.limit) == (fired.id, 15)
    other = WARM.replace("[site]", "[type]")
    assert told(stage.evaluator.reload(rules_in(tmp_path, other), at)) == ["site=berlin resolved reload 7"]
    assert told(stage.tick(8)) == ["type=freezer pending reading 8"]
    assert told(stage.evaluator.reload(RuleSet(), at)) == ["type=freezer resolved removed 8.001"]


@pytest.mark.parametrize(("limit", "goes_on"), [(20, True), (30, False)])
def test_an_edit_judges_what_waits_by_the_value_and_the_limit_of_now(
    tmp_path: Path, limit: int, goes_on: bool
) -> None:
    """Not by the value that the wait began with, nor by a limit of other times."""
    slow = (
        "{alert: Slow, expr: avg(x), by: [site], for: 10m, above: {default: LIMIT, at: {'00:00-01:00': 10}}}"
    )
    rule = slow.replace("LIMIT", "5")
    stage = stage_of(tmp_path, rule)
    stage.read(1, "a", x=15.0)
    assert told(stage.tick(1)) == ["site=berlin pending reading 1"]
    stage.read(2, "a", x=25.0)
    assert stage.tick(2) == []
    at = Instant(3_000, T0 + 3_000)
    edited = rule.replace(": 10}", f": {limit}}}")
    found = told(stage.evaluator.reload(rules_in(tmp_path, edited), at))
    assert found == ([] if goes_on else ["site=berlin resolved reload 3"])


def test_a_time_of_the_week_that_nobody_knows_judges_no_wait(tmp_path: Path) -> None:
    slow = "{alert: Slow, expr: avg(x), by: [site], for: 10m, above: {default: 30, at: {'00:00-01:00': 10}}}"
    stage = stage_of(tmp_path, slow)
    stage.read(1, "a", x=15.0)
    stage.tick(1)
    at = Instant(3_000, T0 + 7_200_000, trusted=False)
    assert stage.evaluator.reload(rules_in(tmp_path, slow.replace("30", "40")), at) == []


def test_a_level_that_is_removed_and_devices_that_no_longer_match_end_with_the_reload(tmp_path: Path) -> None:
    levels = "{alert: A, expr: avg(x), by: [site], levels: {critical: {above: 15}, warning: {above: 10}}}"
    stage = stage_of(tmp_path, levels)
    stage.read(1, "a", x=20.0)
    stage.tick(1)
    at = Instant(2_000, T0 + 2_000)
    one = levels.replace("critical: {above: 15}, ", "")
    (found,) = stage.evaluator.reload(rules_in(tmp_path, one), at)
    assert (found.event, found.cause, found.level) == ("deescalated", "reload", "warning")
    nobody = one.replace("by: [site]", "by: [site], match: {site: lyon}")
    assert told(stage.evaluator.reload(rules_in(tmp_path, nobody), at)) == [
        "site=berlin resolved reload 2.001"
    ]


def test_another_expression_drops_what_waits(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, WARM)
    stage.read(1, "a", x=20.0)
    stage.tick(1)
    at = Instant(5_000, T0 + 5_000)
    (ended,) = stage.evaluator.reload(rules_in(tmp_path, WARM.replace("avg", "max")), at)
    assert (ended.event, ended.cause, ended.state) == ("resolved", "reload", "inactive")
    assert told(stage.tick(6)) == ["site=berlin pending reading 6"]


def test_rules_are_looked_at_only_when_groups_are_due(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, WARM)
    stage.read(1, "a", x=20.0)
    assert stage.evaluator.tick(1_000, T0 + 1_000, groups=False) == []
    assert moved(stage) is False
    assert len(stage.evaluator.tick(1_250, T0 + 1_250)) == 1
    assert moved(stage)


def test_a_clear_value_that_waits_changes_the_state_without_a_transition(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, WARM)
    stage.read(1, "a", x=20.0)
    stage.tick(1)
    stage.tick(6)
    stage.read(7, "a", x=0.0)
    assert stage.tick(7) == []
    assert moved(stage)
    before = repr(stage.evaluator.snapshot())
    assert stage.tick(8) == []
    assert moved(stage) is False
    assert repr(stage.evaluator.snapshot()) == before
    assert told(stage.tick(10)) == ["site=berlin resolved time 10"]


DRAWN = (
    "{alert: A, expr: avg(x), by: [site], above: 10, clear: 8, for: 5s, keep_firing_for: 3s, repeat: 20s}",
    "{alert: B, expr: max(x) - min(x), by: [site, room], levels: {critical: {above: 12, for: 2s}, info: {above: 4}}}",
    "{alert: C, expr: 'share(no_data(x, 10s))', by: [type], above: 0.3, for: 2s}",
    "{alert: D, expr: 'share(avg_over_time(x, 10s) > 9) > 0.5 or count(y) > 2', by: [room], clear: count(y) < 1}",
    "{alert: E, expr: sum(y), by: [site], above: {default: 20, at: {'00:01-00:02': 5}}, deadband: 2}",
    "{alert: F, expr: min(y), by: [site], below: 3, at: ['00:00-00:02'], overrides: [{match: {site: lyon}, below: 1}]}",
)


class Journal:
    """Inputs as they happen, and those of them that a journal would hold."""

    def __init__(self, path: Path, random: Random) -> None:
        self.random = random
        self.rules = rules_in(path, *DRAWN)
        self.edited = rules_in(path, *(rule.replace("above: 10,", "above: 9,") for rule in DRAWN[::-1]))
        self.records: list[tuple[str, Any]] = []

    def drawn(self) -> list[tuple[str, Any]]:
        random = self.random
        inputs: list[tuple[str, Any]] = [("reload", (0, self.rules))]
        sites = {name: random.choice(["berlin", "lyon"]) for name in "abcdef"}
        inputs += [("born", (name, site, random.choice("123"))) for name, site in sites.items()]
        for second in range(1, 120):
            for _ in range(random.randint(0, 3)):
                name = random.choice("abcdef")
                values = {random.choice("xxy"): float(random.randint(0, 20))}
                inputs.append(("read", (second, name, sites[name], values)))
            if random.random() < 0.03:
                name = random.choice("abcdef")
                inputs.append(("born", (name, sites[name], random.choice("123"))))
            if random.random() < 0.02:
                inputs.append(("reload", (second, random.choice([self.rules, self.edited]))))
            inputs.append(("tick", second))
        return inputs


def performed(stage: Stage, what: str, given: Any) -> list[Transition]:
    match what:
        case "tick":
            return stage.evaluator.tick(given * 1000, T0 + given * 1000)
        case "read":
            return stage.read_at(*given)
        case "reload":
            second, rules = given
            return stage.evaluator.reload(rules, Instant(second * 1000, T0 + second * 1000))
    name, site, room = given
    stage.fleet.born(name, site, room=room)
    return []


def shown(stage: Stage) -> list[Transition]:
    return stage.evaluator.active_alerts()


@pytest.mark.parametrize("seed", range(6))
def test_a_replay_of_what_is_journaled_ends_the_same_with_restarts_between(seed: int, tmp_path: Path) -> None:
    """The ticks that changed nothing are not journaled: a replay never sees them."""
    journal, live, restarted, replayed = Journal(tmp_path, Random(seed)), Stage(), Stage(), Stage()
    replay: list[tuple[int, str, Any]] = []
    found: list[Transition] = []
    of_restarted: list[Transition] = []
    for number, (what, given) in enumerate(journal.drawn()):
        live.evaluator.begin(number)
        own = performed(live, what, given)
        found += own
        if what != "tick" or own or live.evaluator.groups.moved:
            replay.append((number, what, given))
        restarted.evaluator.begin(number)
        of_restarted += performed(restarted, what, given)
        if number % 7 == 0:
            restarted.restart()
    again: list[Transition] = []
    for number, what, given in replay:
        replayed.evaluator.begin(number)
        again += performed(replayed, what, given)
    assert len(replay) < number
    assert {each.rule for each in found} >= set("ABCD")
    assert again == found
    assert of_restarted == found
    last = [shown(each) for each in (live, replayed, restarted)]
    assert last[0] == last[1] == last[2]


def test_ten_rules_over_ten_thousand_devices_take_no_loop_over_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = {f"d{number}": {"site": f"s{number % 20}"} for number in range(2_000)}
    rules = [f"{{alert: A{n}, expr: avg(x) + {n}, by: [site], above: 1000}}" for n in range(10)]
    stage = stage_of(tmp_path, *rules, devices=devices)
    for name, about in list(devices.items())[:50]:
        stage.read_at(1, name, about["site"], {"x": 1.0})
    stage.tick(1)
    calls: list[str] = []
    registry = stage.fleet.registry
    for name in ("type", "tags", "is_live", "units"):
        monkeypatch.setattr(registry, name, lambda _, name=name: calls.append(name))
    assert stage.tick(2) == []
    assert calls == []
