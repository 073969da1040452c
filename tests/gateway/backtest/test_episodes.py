"""Episodes from transitions."""

from pathlib import Path

from edge_gateway.backtest.episodes import episodes_of
from edge_gateway.backtest.run import run_rules
from tests.gateway.backtest.weighed import MINUTE, START, readings, rules_of, series, settings


def test_an_episode_has_its_highest_level_and_the_value_that_began_it(tmp_path: Path) -> None:
    rule = "{alert: Hot, expr: t, levels: {critical: {above: 20}, warning: {above: 10}}}"
    given = readings(*series([1, 11, 21, 12, 1]), *series([1, 1, 15], device="d2"))
    first, second = run_rules(given, rules_of(tmp_path, rule), settings()).episodes
    assert (first.device, first.level, first.value, first.cause) == ("d1", "critical", 11.0, "reading")
    assert (first.fired, first.ended) == (START + MINUTE, START + 4 * MINUTE)
    assert (second.device, second.level, second.ended, second.ended_by(7)) == ("d2", "warning", None, 7)


def test_a_wait_that_ends_and_a_silence_that_is_only_told_are_no_episodes(tmp_path: Path) -> None:
    rules = rules_of(
        tmp_path,
        "{alert: Waits, expr: t, above: 10, for: 5m}",
        "{alert: Silent, expr: t, above: 99, no_data: {after: 5m, state: no_data}}",
    )
    found = run_rules(readings(*series([1, 11, 1, *[None] * 9, 1])), rules, settings())
    assert {each.event for each in found.transitions} == {"pending", "resolved", "no_data"}
    assert episodes_of(found.transitions) == []
