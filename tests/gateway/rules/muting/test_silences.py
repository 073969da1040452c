"""Silences begin and end, by a duration or a time, and a clock that nobody has confirmed ends none early."""

import pytest

from edge_gateway.records.inputs import Moment
from edge_gateway.rules.muting.silences import Silence, Silences
from edge_gateway.rules.muting.subject import AlertSubject, Mute

HOT = AlertSubject("Hot", "d", "warning", {"site": "berlin"}, {})


def silence(*, commands: bool = False, ends: int | None = None, site: str = "berlin") -> Silence:
    return Silence(0, {"site": [site]}, commands, "why", "me", since=0, until=1_000, ends=ends)


@pytest.mark.parametrize(
    ("moment", "over"),
    [
        (Moment(999, 0), False),
        (Moment(1_000, 0), True),
        (Moment(5_000, 0, least=999), False),
        (Moment(500, 0, least=1_000), True),
        (Moment(5_000, 0, trusted=False), False),
        (Moment(5_000, 0, trusted=False, least=999), False),
        (Moment(5_000, 0, trusted=False, least=1_000), True),
    ],
)
def test_one_that_has_a_time_ends_once_that_is_certainly_reached(moment: Moment, over: bool) -> None:
    assert silence().is_over(moment) is over


def test_one_that_has_a_duration_runs_by_monotonic_time_alone() -> None:
    assert not silence(ends=10).is_over(Moment(9_999, 0, monotonic=9))
    assert silence(ends=10).is_over(Moment(0, 0, trusted=False, monotonic=10))


def test_numbers_are_never_given_again() -> None:
    silences = Silences()
    assert [silences.add(silence()).id for _ in range(2)] == [1, 2]
    ended = silences.end(2)
    assert ended is not None
    assert silences.end(2) is None
    restored = Silences()
    restored.restore(silences.snapshot())
    assert restored.snapshot() == silences.snapshot()
    assert restored.add(silence()).id == 3
    assert len(restored) == 2


def test_it_is_said_which_one_mutes_and_whether_commands() -> None:
    silences = Silences()
    for one in (silence(), silence(site="lyon"), silence(commands=True)):
        silences.add(one)
    assert list(silences.muting(HOT)) == [Mute("silence 1"), Mute("silence 3", commands=True)]
    assert [one.id for one in silences.end_due(Moment(1_000, 0))] == [1, 2, 3]
    assert not list(silences.muting(HOT))
