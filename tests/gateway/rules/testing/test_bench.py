"""The bench: a simulated fleet on the gateway's own evaluator."""

from __future__ import annotations

import pytest

from edge_gateway.rules.files.load import load_rules
from edge_gateway.rules.language.ruleset import ONLINE, Level, Rule, RuleSet
from edge_gateway.rules.testing.bench import START, Bench
from edge_gateway.rules.testing.series_notation import samples
from tests.gateway.rules.testing.rule_tests import EXAMPLES


@pytest.mark.parametrize("restart_at", [*range(0, 470, 37), 470])
def test_the_worked_example_to_the_second(restart_at: int) -> None:
    bench = Bench.of(load_rules(EXAMPLES / "cold-chain.yaml"), {"f1": {"site": "berlin", "type": "freezer"}})
    series = samples("-18x6 -13x17 -9x12 -20x24")
    for second in range(10 * len(series)):
        if second % 10 == 0:
            bench.send(second * 1000, "f1", {"temperature": series[second // 10] or 0.0})
        bench.pass_time(second * 1000)
        if second == restart_at:
            bench.restart()
    own = [each for each in bench.transitions if each.rule == "FreezerTooWarm"]
    assert [
        ((each.at - START) // 1000, each.state, each.level, len(each.commands), each.value) for each in own
    ] == [
        (110, "pending", "warning", 0, pytest.approx(-13 - 5 / 6)),
        (230, "firing", "warning", 1, -13.0),
        (300, "firing", "critical", 1, -9.0),
        (390, "firing", "warning", 0, pytest.approx(-9 - 22 / 6)),
        (470, "resolved", "warning", 0, -20.0),
    ]
    assert len({each.id for each in own}) == 1


def test_last_values_hold_measured_and_recorded_metrics() -> None:
    bench = Bench.of(RuleSet((Rule(name="y", group="g", record=True, expr="x * 2"),)), {"d": {}})
    bench.send(0, "d", {"x": 3, "door": "open"})
    assert bench.values == {("d", "x"): 3.0, ("d", "y"): 6.0}


ONLINE_DOOR = Rule(
    name="Open",
    group="g",
    expr='door == "open"',
    levels=(Level("warning", for_ms=60_000),),
    lookbacks={"door": ONLINE},
)


def events(bench: Bench) -> list[tuple[int, str, str]]:
    return [((each.at - START) // 1000, each.event, each.cause) for each in bench.transitions]


def test_a_will_and_a_birth_of_the_next_boot_lose_what_counts_while_a_device_is_online() -> None:
    bench = Bench.of(RuleSet((ONLINE_DOOR,)), {"d": {}})
    bench.send(0, "d", {"door": "open"})
    bench.leave("d", 10_000)
    bench.pass_time(11_000)
    bench.send(20_000, "d", {"door": "open"})
    bench.reboot("d", 30_000)
    bench.restart()
    bench.pass_time(31_000)
    bench.repeat_newest("d", 32_000)
    bench.send(40_000, "d", {"door": "open"})
    assert events(bench) == [
        (0, "pending", "reading"),
        (10, "resolved", "expired"),
        (20, "pending", "reading"),
        (30, "resolved", "expired"),
        (40, "pending", "reading"),
    ]
    assert [each.boot for each in bench.transitions][-1] == 2
    assert bench.transitions[-1].seq == 0


def test_repeating_before_the_first_reading_does_nothing() -> None:
    bench = Bench.of(RuleSet.empty(), {"d": {}})
    bench.repeat_newest("d", 0)
    assert bench.values == {}
