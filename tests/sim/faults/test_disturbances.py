"""What a fault of a sensor does to the readings of its devices."""

from tests.sim.metrics_under_test import Run, scenario

BASE = "a: {model: sine, mean: 10, amplitude: 5, period: 1m}"


def test_stuck_repeats_the_last_reading_before_it() -> None:
    run = Run(scenario(BASE, faults="- {kind: stuck, metric: a, after: 10s, for: 5s}"))
    values = run.column("a", range(0, 20_000, 1000))
    assert values[10:15] == [values[9]] * 5
    assert len(set(values)) == 15


def test_stuck_from_the_start_repeats_the_first_reading() -> None:
    run = Run(scenario(BASE, faults="- {kind: stuck, metric: a}"))
    assert len(set(run.column("a", range(0, 20_000, 1000)))) == 1


def test_an_event_leads_there_and_back() -> None:
    run = Run(
        scenario(
            "a: {model: constant, value: 20}",
            faults="- {kind: event, metric: a, to: 40, rise: 10s, after: 10s, for: 30s}",
        )
    )
    assert run.column("a", range(0, 70_000, 5000)) == [
        20,
        20,
        20,
        30,
        40,
        40,
        40,
        40,
        40,
        30,
        20,
        20,
        20,
        20,
    ]
