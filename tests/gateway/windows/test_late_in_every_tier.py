"""Which tiers a late reading corrects: the store those that are closed, memory those still open."""

from edge_gateway.windows.late import Late
from tests.gateway.windows.plain import DOOR, T0, Plain, PlainState, Reading
from tests.gateway.windows.runs import Run, temperature


def test_a_late_reading_names_the_tiers_the_store_has_to_correct() -> None:
    run = Run()
    run.add([temperature(0), temperature(4)])
    base_only = run.add([temperature(0.5)])
    assert base_only.numbers.tiers.tolist() == [0b001]
    run.add([temperature(9)])
    five_seconds_over = run.add([temperature(0.7)])
    assert five_seconds_over.numbers.tiers.tolist() == [0b011]
    run.add([temperature(13)])
    everything_over = run.add([temperature(0.8)])
    assert everything_over.numbers.tiers.tolist() == [0b111]


def test_a_late_reading_is_in_the_open_coarser_window_once() -> None:
    run = Run()
    run.add([temperature(0, 1.0), temperature(4, 2.0)])
    run.add([temperature(0.5, 4.0)])
    run.drain()
    found = run.plain()
    five = found[5_000, 0, T0]
    assert isinstance(five, Plain)
    assert (five.values, five.sum) == (3, 7.0)
    one = found[1_000, 0, T0]
    assert isinstance(one, Plain)
    assert (one.values, one.sum) == (1, 1.0)


def late_states(late: Late) -> tuple[list[int], list[int]]:
    return late.states.code.tolist(), late.states.tiers.tolist()


def test_texts_are_late_as_numbers_are() -> None:
    run = Run()
    run.add([Reading(0, T0, DOOR, 0.0), Reading(0, T0 + 4_000, DOOR, 2.0)])
    late = run.add([Reading(0, T0 + 500, DOOR, 1.0)])
    assert late_states(late) == ([1], [1])
    run.drain()
    found = run.plain()
    assert found[5_000, 2, T0] == PlainState(2, T0 + 4_000, 0, T0, 2)
    assert found[1_000, 2, T0] == PlainState(0, T0, 0, T0, 0)
