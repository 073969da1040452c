import numpy as np

from edge_gateway.fleet.decoders.bad_values import BadReason
from edge_gateway.fleet.decoders.decoded import Numbers, States, no_states
from edge_gateway.fleet.registry import Registry
from edge_gateway.fleet.value_checks import Checked, MetricPolicy, ValueChecks

METRICS = {
    "temperature": MetricPolicy(range=(-40.0, 85.0), missing=(-200.0, 0.5)),
    "humidity": MetricPolicy(missing=(-1.0,)),
    "ph": MetricPolicy(rate=(1.0, 1_000)),
}


class Fleet:
    def __init__(self) -> None:
        self.registry = Registry()
        self.registry.device("n", "a")
        self.policy = ValueChecks(self.registry, METRICS)

    def series(self, name: str) -> int:
        return self.registry.series(0, self.registry.metric(name))

    def numbers(self, *values: tuple[str, float], quality: int = 1000) -> Numbers:
        return Numbers(
            np.arange(len(values)),
            np.array([self.series(name) for name, _ in values], np.int64),
            np.array([value for _, value in values], np.float64),
            np.full(len(values), quality, np.uint16),
        )

    def states(self, *names: str, row: int = 0, quality: int = 1000) -> States:
        count = len(names)
        series = np.array([self.series(name) for name in names], np.int64)
        return States(
            np.full(count, row), series, np.ones(count, np.int64), np.full(count, quality, np.uint16)
        )

    def check(self, numbers: Numbers, states: States | None = None) -> Checked:
        ts = 1_760_000_000_000 + 1_000 * np.arange(100)
        return self.policy.check(numbers, states or no_states(), ts)


def why(checked: Checked) -> list[tuple[int, BadReason]]:
    return sorted(
        (row, BadReason(reason)) for row, reason in zip(checked.bad.row, checked.bad.reason, strict=True)
    )


def test_values_outside_their_range_or_standing_for_none_do_not_count() -> None:
    fleet = Fleet()
    values = [("temperature", value) for value in (-40.0, 85.0, 85.1, -200.0, 0.5, 20.0)]
    checked = fleet.check(fleet.numbers(*values, ("humidity", -1.0), ("humidity", -200.0), ("other", 1e300)))
    assert checked.numbers.value.tolist() == [-40.0, 85.0, 20.0, -200.0, 1e300]
    assert why(checked) == [
        (2, BadReason.RANGE),
        (3, BadReason.MISSING),
        (4, BadReason.MISSING),
        (6, BadReason.MISSING),
    ]
    assert checked.bad.metric.tolist() == [
        fleet.registry.metric(name) for name in ("temperature", "temperature", "humidity", "temperature")
    ]


def test_the_first_good_value_fixes_what_a_series_holds() -> None:
    fleet = Fleet()
    checked = fleet.check(fleet.numbers(("t", 1.0), ("door", 2.0)), fleet.states("door", row=0))
    assert why(checked) == [(1, BadReason.TYPE)]
    assert fleet.registry.series_is_state.tolist() == [False, True]
    assert why(fleet.check(fleet.numbers(("door", 1.0)))) == [(0, BadReason.TYPE)]
    assert why(fleet.check(fleet.numbers(), fleet.states("t", "door"))) == [(0, BadReason.TYPE)]


def test_what_the_device_does_not_trust_fixes_nothing() -> None:
    fleet = Fleet()
    checked = fleet.check(fleet.numbers(("t", 1.0), quality=0), fleet.states("u", quality=0))
    assert why(checked) == [(0, BadReason.QUALITY), (0, BadReason.QUALITY)]
    assert why(fleet.check(fleet.numbers(("u", 1.0)), fleet.states("t"))) == []


def test_more_than_the_rate_is_refused() -> None:
    fleet = Fleet()
    numbers = fleet.numbers(("ph", 7.0), ("ph", 7.1), ("t", 1.0))
    numbers.row[:] = 0
    checked = fleet.check(numbers)
    assert checked.numbers.value.tolist() == [7.0, 1.0]
    assert why(checked) == [(0, BadReason.RATE)]


def test_limits_hold_for_metrics_that_turn_up_after_a_restore() -> None:
    first, second = Fleet(), Fleet()
    first.check(first.numbers(("temperature", 1.0), ("ph", 7.0)))
    second.registry.restore(first.registry.snapshot())
    second.policy.restore(first.policy.snapshot())
    late = second.numbers(("temperature", 99.0), ("ph", 7.0), ("humidity", -1.0))
    late.row[:] = 1
    assert why(second.check(late)) == [(1, BadReason.MISSING), (1, BadReason.RANGE), (1, BadReason.RATE)]
