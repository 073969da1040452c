"""An alert that changes too often flaps until it is quiet; what is remembered has a bound."""

import pytest

from edge_gateway.rules.muting import flapping
from edge_gateway.rules.muting.flapping import SPAN, Flapping

KEY = ("Hot", "d")


def flap(watched: Flapping, times: int, key: tuple[str, str] = KEY, start: int = 1) -> list[bool]:
    return [watched.change(key, None if at % 2 else 1, start + at) for at in range(times)]


def test_the_seventh_change_in_the_span_is_muted() -> None:
    watched = Flapping()
    assert flap(watched, 8) == [False] * 6 + [True] * 2
    assert KEY in watched
    assert len(watched) == 1


def test_only_a_rank_above_all_that_were_told_passes() -> None:
    watched = Flapping()
    flap(watched, 7)
    assert watched.mutes(KEY, 1)
    assert not watched.mutes(KEY, 2)
    assert watched.change(KEY, 1, 10)
    assert not watched.change(KEY, 2, 11)
    assert watched.change(KEY, 2, 12)
    assert watched.mutes(KEY, None)


def test_each_change_puts_the_end_off() -> None:
    watched = Flapping()
    flap(watched, 7)
    assert watched.change(KEY, 1, SPAN)
    assert watched.end_quiet(2 * SPAN - 1) == []
    assert watched.end_quiet(2 * SPAN) == [KEY]
    assert KEY not in watched
    assert watched.snapshot() == []


def test_what_changed_long_ago_is_forgotten_and_so_is_the_oldest_beyond_the_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Flapping()
    watched.change(KEY, 1, 1)
    watched.change(("Hot", "e"), 1, SPAN + 2)
    assert [rule[:2] for rule in watched.snapshot()] == [["Hot", "e"]]
    monkeypatch.setattr(flapping, "MOST_WATCHED", 2)
    flap(watched, 7, start=SPAN + 3)
    for name in "fg":
        watched.change(("Hot", name), 1, SPAN + 20)
    assert [subject for _, subject, *_ in watched.snapshot()] == ["f", "g"]
    assert len(watched) == 0


def test_a_snapshot_restores_all_of_it() -> None:
    watched, restored = Flapping(), Flapping()
    flap(watched, 7)
    restored.restore(watched.snapshot())
    assert restored.snapshot() == watched.snapshot()
    assert KEY in restored
