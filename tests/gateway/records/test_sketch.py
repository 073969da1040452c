"""The p95: exact up to 64 values, within 1 % beyond, and the same for any order and grouping."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.records.sketch import EXACT, MOST_BUCKETS, Sketch, buckets_of, middle, rank95

values = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=True)
many = st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, -1.0]), min_size=EXACT + 1, max_size=200)


def sketch(numbers: list[float]) -> Sketch:
    return Sketch.of(np.array(numbers, np.float64))


@settings(deadline=None)
@given(st.lists(values, min_size=1, max_size=EXACT))
def test_few_values_give_the_nearest_rank(numbers: list[float]) -> None:
    assert sketch(numbers).p95() == sorted(numbers)[math.ceil(0.95 * len(numbers)) - 1]


def test_the_rank_is_computed_without_rounding() -> None:
    assert [rank95(count) for count in (1, 19, 20, 21, 40, 100)] == [0, 18, 18, 19, 37, 94]


@settings(deadline=None)
@given(many)
def test_many_values_give_the_rank_within_one_percent(numbers: list[float]) -> None:
    exact = sorted(numbers)[rank95(len(numbers))]
    assert abs(sketch(numbers).p95() - exact) <= 0.01 * abs(exact)


@settings(deadline=None)
@given(st.lists(values, max_size=80), st.lists(values, max_size=80), st.lists(values, max_size=80))
def test_sketches_merge_into_the_sketch_of_all(
    one: list[float], two: list[float], three: list[float]
) -> None:
    a, b, c = sketch(one), sketch(two), sketch(three)
    whole = sketch(one + two + three)
    assert a.merged(b).merged(c) == whole
    assert c.merged(b.merged(a)) == whole


def test_more_buckets_than_are_kept_merge_in_any_order() -> None:
    scattered = [float(2.0**exponent) for exponent in range(-1000, 1000)] + [-3.0, 0.0]
    half = sketch(scattered[::2])
    assert len(sketch(scattered).buckets) == MOST_BUCKETS
    assert half.merged(sketch(scattered[1::2])) == sketch(scattered)
    assert sketch(scattered).count == len(scattered)
    assert math.isclose(sketch(scattered).p95(), sorted(scattered)[rank95(2002)], rel_tol=0.01)


@settings(deadline=None)
@given(st.lists(values, max_size=130))
def test_bytes_are_an_inverse(numbers: list[float]) -> None:
    assert Sketch.unpack(sketch(numbers).pack()) == sketch(numbers)


@settings(deadline=None)
@given(values, values)
def test_buckets_are_ordered_as_values_are(one: float, other: float) -> None:
    first, second = buckets_of(np.array(sorted([one, other]))).tolist()
    assert first <= second


@settings(deadline=None)
@given(values.filter(lambda value: abs(value) > 1e-300))
def test_the_middle_of_a_bucket_is_within_one_percent(value: float) -> None:
    (bucket,) = buckets_of(np.array([value])).tolist()
    assert abs(middle(bucket) - value) <= 0.01 * abs(value)


def test_no_value_has_no_p95() -> None:
    assert math.isnan(sketch([]).p95())
