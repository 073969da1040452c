"""What devices were told of their alerts, and what they are owed."""

from __future__ import annotations

from edge_gateway.rules.alerts.state_machine import NOTHING, StateChange
from edge_gateway.rules.alerts.told import Told
from fleet_wire.control_messages import AlertEvent, AlertState

KEY = (7, "Hot")


def change(event: AlertEvent, state: AlertState, rank: int, at: int, previous: int = NOTHING) -> StateChange:
    return StateChange(event, "reading", state, rank, previous, at)


def test_what_is_live_is_told_and_nothing_is_owed() -> None:
    told = Told()
    told.note(KEY, change("pending", "pending", 1, 5), "id 5", live=True)
    told.note(KEY, change("firing", "firing", 1, 10), "id 5", live=True)
    assert (told.fires(KEY), told.owed) == (True, {})
    told.note(KEY, change("resolved", "resolved", 1, 20, 1), "id 5", live=True)
    assert (told.fires(KEY), told.owed) == (False, {})


def test_an_alert_that_began_untold_is_owed_as_what_it_has_become() -> None:
    told = Told()
    told.note(KEY, change("firing", "firing", 1, 10), "id 5", live=False)
    told.note(KEY, change("escalated", "firing", 2, 12, 1), "id 5", live=False)
    assert told.settled(KEY, 30) == (change("released", "firing", 2, 30), "id 5")
    assert told.settled(KEY, 11) == (change("released", "firing", 2, 12), "id 5"), "not before it happened"


def test_a_level_that_changed_untold_is_owed_until_it_is_back() -> None:
    told = Told()
    told.note(KEY, change("firing", "firing", 1, 10), "id 5", live=True)
    told.note(KEY, change("escalated", "firing", 2, 12, 1), "id 5", live=False)
    assert told.settled(KEY, 30)[0] == change("released", "firing", 2, 30, 1)
    told.note(KEY, change("deescalated", "firing", 1, 13, 2), "id 5", live=False)
    assert told.owed == {}
    told.levels[KEY] = 2
    told.note(KEY, change("deescalated", "firing", 1, 14, 2), "id 5", live=False)
    assert told.settled(KEY, 30)[0] == change("released", "firing", 1, 30, 2)


def test_an_end_is_owed_only_where_the_beginning_was_told() -> None:
    told = Told()
    told.note(KEY, change("firing", "firing", 1, 10), "id 5", live=False)
    told.note(KEY, change("resolved", "resolved", 1, 12, 1), "id 5", live=False)
    assert told.owed == {}
    told.note(KEY, change("firing", "firing", 1, 20), "id 19", live=True)
    told.note(KEY, change("resolved", "resolved", 1, 22, 1), "id 19", live=False)
    assert told.settled(KEY, 30) == (change("released", "resolved", 1, 30, 1), "id 19")


def test_what_is_owed_follows_a_clock_and_is_kept_in_a_snapshot() -> None:
    told = Told()
    told.note(KEY, change("firing", "firing", 1, 1_000), "id 900", live=False)
    told.note((8, "Hot"), change("firing", "firing", 1, 1_000), "id 900", live=True)
    told.shift({7: -100, 9: 5})
    again = Told.from_snapshot(told.snapshot())
    assert again == told
    assert again.owed[KEY].change.at == 900
    again.keep(lambda key: key[0] != 7)
    assert (again.owed, set(again.levels)) == ({}, {(8, "Hot")})
