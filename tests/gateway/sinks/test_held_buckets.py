"""A bucket that cannot be written to is left alone for growing delays; the others are not."""

import itertools
from collections.abc import Iterator

from edge_gateway.sinks.held_buckets import MOST_NAMED, HeldBuckets


def doubling() -> Iterator[float]:
    return (2.0**n for n in itertools.count())


def test_a_bucket_is_closed_until_its_next_try() -> None:
    held = HeldBuckets()
    held.hold("a", "missing", 10.0, doubling())
    assert (held.closed(10.5), held.wait(10.5)) == (frozenset("a"), 0.5)
    assert (held.closed(11.0), held.wait(11.0)) == (frozenset(), None)


def test_the_delays_of_a_bucket_grow_until_a_write_succeeds() -> None:
    held = HeldBuckets()
    held.hold("a", "missing", 0.0, doubling())
    held.hold("a", "missing", 1.0, doubling())
    assert held.wait(1.0) == 2.0
    held.release("a")
    assert (held.closed(1.0), held.sentences()) == (frozenset(), [])
    held.hold("a", "missing", 5.0, doubling())
    assert held.wait(5.0) == 1.0


def test_the_wait_is_that_of_the_first_bucket_to_be_tried() -> None:
    held = HeldBuckets()
    held.hold("a", "missing", 0.0, iter([9.0]))
    held.hold("b", "missing", 0.0, iter([4.0]))
    assert held.wait(0.0) == 4.0
    assert held.wait(5.0) == 4.0, "b is due, a is not"


def test_releasing_a_bucket_that_is_not_held_changes_nothing() -> None:
    held = HeldBuckets()
    held.release("a")
    assert held.sentences() == []


def test_each_bucket_is_named_with_its_newest_reason_up_to_a_bound() -> None:
    held = HeldBuckets()
    for name in reversed("abcdefg"):
        held.hold(name, "missing", 0.0, doubling())
    held.hold("b", "no right to write", 0.0, doubling())
    first, second, *others = held.sentences()
    assert (first, second) == ("bucket 'a': missing", "bucket 'b': no right to write")
    assert len(others) == MOST_NAMED - 2 + 1
    assert others[-1] == "and 2 more"
