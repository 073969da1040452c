import numpy as np

from edge_gateway.fleet.decoders.bad_values import BadReason
from edge_gateway.fleet.decoders.decoded import Numbers, States, no_states
from edge_gateway.fleet.devices.series import KIND_NUMBER, KIND_STATE
from edge_gateway.fleet.limits import RegistryLimits
from edge_gateway.fleet.registry import Registry
from edge_gateway.fleet.value_checks import Checked, MetricPolicy, ValueChecks

METRICS = {
    "temperature": MetricPolicy(range=(-40.0, 85.0), missing=(-200.0, 0.5)),
    "humidity": MetricPolicy(missing=(-1.0,)),
    "ph": MetricPolicy(rate=(1.0, 1_000)),
}


class Fleet:
    def __init__(self, limits: RegistryLimits | None = None) -> None:
        self.registry = Registry(limits)
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


def test_texts_count_only_in_series_of_texts_and_with_enough_quality() -> None:
    fleet = Fleet()
    texts = [fleet.series(name) for name in ("door", "lid")]
    fleet.registry.table.kind[texts] = KIND_STATE
    checked = fleet.check(fleet.numbers(("door", 1.0)), fleet.states("lid", "door", row=1))
    assert why(checked) == [(0, BadReason.TYPE)]
    assert checked.states.row.tolist() == [1, 1]
    poor = fleet.check(fleet.numbers(("temperature", 1.0)), fleet.states("lid", quality=0))
    assert why(poor) == [(0, BadReason.QUALITY)]
    assert (
        fleet.check(fleet.numbers(("temperature", 1.0)), fleet.states("temperature")).states.row.tolist()
        == []
    )


def reopened(fleet: Fleet, name: str, kind: int) -> int:
    """A series that a device sends, which holds `kind` and may be decided again."""
    fleet.registry.table.number_as_many(0, [name])
    number = fleet.registry.table.find(0, name)
    fleet.registry.table.kind[number] = kind
    fleet.registry.table.reopen(np.array([number]))
    return number


def test_a_reopened_series_is_settled_by_a_value_of_its_kind() -> None:
    fleet = Fleet()
    number = reopened(fleet, "m", KIND_NUMBER)
    assert why(fleet.check(fleet.numbers(("m", 1.0)))) == []
    assert (fleet.registry.table.find(0, "m"), fleet.registry.table.any_anew) == (number, False)


def test_a_reopened_series_gets_another_number_for_values_of_the_other_kind() -> None:
    fleet = Fleet()
    number = reopened(fleet, "m", KIND_NUMBER)
    states = States(np.array([0, 2]), np.array([number] * 2), np.array([0, 1]), np.full(2, 1000, np.uint16))
    later = Numbers(np.array([1]), np.array([number]), np.array([1.0]), np.full(1, 1000, np.uint16))
    checked = fleet.check(later, states)
    other = fleet.registry.table.find(0, "m")
    assert other != number
    assert checked.states.series.tolist() == [other, other]
    assert why(checked) == [(1, BadReason.TYPE)]
    assert fleet.registry.table.kind[other] == KIND_STATE


def test_without_room_for_another_number_values_of_the_other_kind_are_bad() -> None:
    fleet = Fleet(RegistryLimits(device_series=1))
    number = reopened(fleet, "m", KIND_NUMBER)
    states = States(np.array([0]), np.array([number]), np.array([0]), np.full(1, 1000, np.uint16))
    assert why(fleet.check(fleet.numbers(), states)) == [(0, BadReason.TYPE)]
    assert fleet.registry.table.find(0, "m") == number


def test_limits_follow_metrics_whose_numbers_were_reused() -> None:
    fleet = Fleet()
    table = fleet.registry.table
    table.number_as_many(0, ["gone"])
    fleet.check(fleet.numbers())
    series = np.array([table.find(0, "gone")])
    table.free(series)
    table.free_metrics()
    table.number_as_many(0, ["temperature"])
    number = table.find(0, "temperature")
    values = Numbers(np.array([0]), np.array([number]), np.array([100.0]), np.full(1, 1000, np.uint16))
    assert why(fleet.check(values)) == [(0, BadReason.RANGE)]


def test_a_policy_without_missing_values_or_rates_judges_by_range_alone() -> None:
    registry = Registry()
    registry.device("n", "a")
    checks = ValueChecks(registry, {"m": MetricPolicy(range=(0.0, 1.0))})
    series = np.full(4, registry.series(0, registry.metric("m")))
    values = np.array([-0.1, 0.0, 1.0, 1.1])
    numbers = Numbers(np.arange(4), series, values, np.full(4, 1000, np.uint16))
    assert why(checks.check(numbers, no_states(), np.zeros(4, np.int64))) == [
        (0, BadReason.RANGE),
        (3, BadReason.RANGE),
    ]


def test_a_forgotten_series_has_its_whole_rate_again() -> None:
    fleet = Fleet()
    assert why(fleet.check(fleet.numbers(("ph", 7.0)))) == []
    fleet.policy.forget(np.array([fleet.series("ph")]))
    assert why(fleet.check(fleet.numbers(("ph", 7.0)))) == []
    assert why(fleet.check(fleet.numbers(("ph", 7.0)))) == [(0, BadReason.RATE)]
