"""Charts of a preview."""

import math
from itertools import pairwise

import pytest

from fleet_sim.cli.looking import bytes_in_words, chart_rows, plan_rows, previewed
from fleet_sim.scenario.loading import load_scenario


def test_numbers_are_bars_between_their_least_and_most() -> None:
    assert chart_rows([{"a": 0}, {"a": 7}, {}, {"a": math.nan}]) == [("a", "▁█··  0 … 7")]
    assert chart_rows([{"a": 5}]) == [("a", "▁  5 … 5")]


def test_words_are_their_first_letters() -> None:
    assert chart_rows([{"door": "open"}, {"door": None}, {"door": "shut"}]) == [("door", "o s  open, shut")]


def test_a_preview_holds_what_the_first_devices_send_at_their_times() -> None:
    scenario = load_scenario("cold-chain", env={})
    made = previewed(scenario, "freezer", 2, 3, 1_000_000)
    assert [device for device, _, _ in made] == ["frz-00000", "frz-00001"]
    for _, times, messages in made:
        assert [b - a for a, b in pairwise(times)] == [10_000] * 2
        assert len(messages) == 3


def test_a_plan_is_told_in_words_and_units() -> None:
    predicted = {
        "devices": 2000, "messages_per_second": 200.5, "bytes_per_second": 33_400, "sockets": 2001,
        "source_addresses": 1, "memory_bytes": 20_000_000,
    }  # fmt: skip
    rows = dict(plan_rows(predicted))
    assert len(rows) == len(predicted)
    assert (rows["devices"], rows["messages"], rows["sockets"]) == ("2,000", "200.5 a second", "2,001")
    assert rows["network"].startswith("33.4 kB a second")
    assert rows["memory"].startswith("20.0 MB")


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_500_000, "2.5 MB"), (1.5e10, "15.0 GB")],
)
def test_bytes_are_told_in_units(count: float, said: str) -> None:
    assert bytes_in_words(count) == said
