"""Charts of a preview."""

import math
from itertools import pairwise

from fleet_sim.cli.looking import chart_rows, previewed
from fleet_sim.scenario.loading import load_scenario


def test_numbers_are_bars_between_their_least_and_most() -> None:
    assert chart_rows([{"a": 0}, {"a": 7}, {}, {"a": math.nan}]) == [("a", "▁█··  0 … 7")]
    assert chart_rows([{"a": 5}]) == [("a", "▁  5 … 5")]


def test_words_are_their_first_letters() -> None:
    assert chart_rows([{"door": "open"}, {"door": None}, {"door": "shut"}]) == [("door", "o s")]


def test_a_preview_holds_what_the_first_devices_send_at_their_times() -> None:
    scenario = load_scenario("cold-chain", env={})
    made = previewed(scenario, "freezer", 2, 3, 1_000_000)
    assert [device for device, _, _ in made] == ["frz-00000", "frz-00001"]
    for _, times, messages in made:
        assert [b - a for a, b in pairwise(times)] == [10_000] * 2
        assert len(messages) == 3
