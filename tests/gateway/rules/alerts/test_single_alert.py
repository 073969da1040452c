"""Stepping one alert through readings, through time, and through missing data."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_gateway.rules.alerts.single_alert import (
    LatchReading,
    Missing,
    SingleAlert,
    apply_readings,
    pass_time,
    repeat_notice,
    single_alerts,
)
from edge_gateway.rules.alerts.state_machine import NOTHING, ActiveAlert, LevelState, StateChange
from edge_gateway.rules.columns.program import ABSENT, Latch
from edge_gateway.rules.language.ruleset import NoDataState
from tests.gateway.rules.alerts.test_state_machine import LATCH

WARNING = replace(LATCH, key=1, rank=1, for_ms=10, keep_ms=0)
CRITICAL = replace(LATCH, key=2, rank=2, for_ms=0, keep_ms=0)
MISSING = replace(LATCH, key=ABSENT, rank=2, for_ms=30, keep_ms=0)


def alert(*latches: Latch, active: ActiveAlert | None = None) -> SingleAlert:
    levels = [
        LevelState(cell, latch, on=False, up=0, down=0, stamps=0, last_at=0)
        for cell, latch in enumerate(latches)
    ]
    return SingleAlert(7, 3, levels, active)


def firing(rank: int = 1, at: int = 100) -> ActiveAlert:
    return ActiveAlert(StateChange("firing", "reading", "firing", rank, NOTHING, at), at, "an id")


def waiting(at: int) -> ActiveAlert:
    return ActiveAlert(StateChange("pending", "reading", "pending", 1, NOTHING, at), at)


def reading(
    row: int,
    cell: int,
    at: int,
    *,
    up: bool = False,
    down: bool = False,
    seen: bool = True,
    expired: int = 0,
    closed: int = 0,
) -> LatchReading:
    return LatchReading(
        0, row, cell, cell, at, expired, closed, seen, up, down, on=False, up=0, down=0, stamps=0, last_at=0
    )


def summary(one: SingleAlert) -> list[tuple[int, str, int, int]]:
    return [(each.row, each.change.event, each.change.rank, each.change.at) for each in one.events]


def test_readings_are_grouped_by_alert_with_the_state_before_the_frame() -> None:
    readings = [
        LatchReading(0, 5, 1, 1, 95, 0, 0, True, True, False, on=False, up=90, down=0, stamps=1, last_at=90),
        LatchReading(0, 5, 0, 0, 95, 0, 0, True, True, False, on=True, up=80, down=0, stamps=2, last_at=90),
        LatchReading(0, 6, 0, 0, 96, 0, 0, True, False, False, on=True, up=80, down=0, stamps=2, last_at=90),
        LatchReading(8, 7, 8, 0, 97, 0, 0, True, True, False, on=False, up=0, down=0, stamps=0, last_at=0),
    ]
    (first, own), (second, other) = single_alerts(
        readings, {0: 7, 8: 9}, [WARNING, CRITICAL], {(7, 0): firing()}
    )
    assert (first.device, first.rule, len(own), len(other)) == (7, 0, 3, 1)
    assert [(each.cell, each.on, each.up) for each in first.levels] == [(0, True, 80), (1, False, 90)]
    assert first.active is not None
    assert (second.device, second.active) == (9, None)


def test_times_that_ended_before_a_reading_end_levels_then_and_there() -> None:
    one = alert(WARNING, CRITICAL)
    apply_readings(one, [reading(0, 0, 100, up=True), reading(0, 1, 100, up=True)])
    apply_readings(one, [reading(1, 1, 130, closed=120), reading(1, 0, 130, up=True)])
    assert summary(one) == [
        (0, "firing", 2, 100),
        (1, "resolved", 2, 120),
        (1, "pending", 1, 120),
        (1, "firing", 1, 130),
    ]


def test_times_end_before_what_is_due_at_the_same_ms() -> None:
    one = alert(WARNING)
    apply_readings(one, [reading(0, 0, 100, up=True)])
    pass_time(one, 200, Missing(closed=((0, 110),)), None)
    assert summary(one) == [(0, "pending", 1, 100), (NOTHING, "resolved", 1, 110)]
    assert one.events[-1].change.cause == "schedule"


def test_readings_switch_levels_row_by_row() -> None:
    one = alert(WARNING, CRITICAL)
    readings = [
        reading(0, 0, 100, up=True),
        reading(1, 0, 105, up=True),
        reading(2, 0, 110, up=True),
        reading(2, 1, 110, up=True),
        reading(3, 0, 120, up=True),
        reading(3, 1, 120, down=True),
        reading(4, 0, 130, down=True),
        reading(4, 1, 130, down=True),
    ]
    apply_readings(one, readings)
    assert summary(one) == [
        (0, "pending", 1, 100),
        (2, "firing", 2, 110),
        (3, "deescalated", 1, 120),
        (4, "resolved", 1, 130),
    ]
    assert len({id(each.alert) for each in one.events}) == 1
    assert (one.active, one.events[0].device, one.events[0].rule) == (None, 7, 3)


def test_a_reading_without_a_value_for_any_latch_changes_nothing() -> None:
    one = alert(WARNING)
    one.levels[0].up = 100
    apply_readings(one, [reading(0, 0, 200, seen=False)])
    assert (one.events, one.levels[0].up) == ([], 100)


def test_a_value_clears_missing_data_but_does_not_raise_it() -> None:
    one = alert(MISSING)
    apply_readings(one, [reading(0, 0, 100, down=True)])
    assert one.levels[0].down == 0
    one.levels[0].on, one.active = True, firing(2)
    apply_readings(one, [reading(0, 0, 110, down=True)])
    assert summary(one) == [(0, "resolved", 2, 110)]


def test_time_stamps_each_change_with_when_it_was_due() -> None:
    one = alert(WARNING, replace(CRITICAL, for_ms=25))
    one.levels[0].up = one.levels[1].up = 100
    pass_time(one, 1000, Missing(), None)
    assert summary(one) == [(NOTHING, "firing", 1, 110), (NOTHING, "escalated", 2, 125)]


@pytest.mark.parametrize(
    ("state", "events"),
    [
        ("alerting", [(NOTHING, "firing", 1, 110), (NOTHING, "escalated", 2, 130)]),
        ("no_data", [(NOTHING, "firing", 1, 110), (NOTHING, "no_data", 1, 130)]),
        ("ok", [(NOTHING, "firing", 1, 110), (NOTHING, "resolved", 1, 130)]),
    ],
)
def test_missing_data_while_firing(state: NoDataState, events: list[tuple[int, str, int, int]]) -> None:
    one = alert(WARNING, replace(MISSING, raises=state == "alerting"))
    one.levels[0].up = 100
    pass_time(one, 1000, Missing(130), state)
    assert summary(one) == events
    assert (one.active is None) == (state == "ok")
    assert one.levels[1].on


def test_missing_data_is_reported_before_what_falls_due_later() -> None:
    one = alert(WARNING, MISSING)
    one.levels[0].up = 100
    pass_time(one, 1000, Missing(105), "alerting")
    assert summary(one) == [(NOTHING, "firing", 2, 105)]
    assert one.events[0].change.cause == "no_data"


def test_missing_data_that_is_only_reported_begins_and_ends_at_once() -> None:
    one = alert(WARNING, replace(MISSING, raises=False))
    pass_time(one, 1000, Missing(130), "no_data")
    (event,) = one.events
    assert event.change == ("no_data", "no_data", "inactive", 2, NOTHING, 130)
    assert event.alert == ActiveAlert(event.change, 130), "an alert of its own"
    assert one.active is None


def test_missing_data_with_ok_resolves_and_drops_waits() -> None:
    one = alert(WARNING, replace(MISSING, raises=False), active=firing())
    one.levels[0].on = True
    pass_time(one, 1000, Missing(130), "ok")
    assert [each.change for each in one.events] == [("resolved", "no_data", "resolved", 1, 1, 130)]


@pytest.mark.parametrize(
    ("active", "now", "at"),
    [
        (None, 1000, None),
        (waiting(50), 1000, None),
        (firing(at=100), 159, None),
        (firing(at=100), 160, 160),
        (firing(at=100), 250, 220),
        (firing(at=500), 300, None),
    ],
)
def test_a_notice_is_repeated_on_a_fixed_beat(active: ActiveAlert | None, now: int, at: int | None) -> None:
    one = alert(WARNING, active=None if active is None else replace(active))
    repeat_notice(one, now, 60)
    assert [each.change.at for each in one.events] == ([] if at is None else [at])
    if at is not None:
        assert one.active is not None
        assert one.active.notified_at == at
        assert one.events[0].change.event == "repeat"


def test_a_value_that_became_too_old_ends_waits_before_the_next_reading() -> None:
    one = alert(WARNING, CRITICAL)
    one.levels[0].up, one.active = 100, waiting(100)
    apply_readings(one, [reading(0, 0, 500, up=True, expired=400)])
    assert summary(one) == [(0, "resolved", 1, 400), (0, "pending", 1, 500)]
    assert one.levels[0].up == 500


def test_of_what_falls_due_at_one_time_a_wait_ends_before_its_value_is_too_old() -> None:
    one = alert(WARNING, replace(CRITICAL, for_ms=200))
    one.levels[0].up = one.levels[1].up = 100
    pass_time(one, 1000, Missing(expired=110), None)
    assert summary(one) == [(NOTHING, "firing", 1, 110)]
    assert [level.up for level in one.levels] == [100, 0]
    other = alert(WARNING, active=waiting(100))
    other.levels[0].up = 100
    pass_time(other, 1000, Missing(expired=109), None)
    assert [each.change[:3] for each in other.events] == [("resolved", "expired", "inactive")]


def test_a_wait_ends_when_its_own_value_is_too_old_not_when_silence_was_looked_at_last() -> None:
    one = alert(WARNING, replace(MISSING, raises=False), active=waiting(100))
    one.levels[0].up = 100
    one.levels[1].on = True
    apply_readings(one, [reading(0, 0, 500, expired=400), reading(0, 1, 500, down=True, expired=450)])
    assert summary(one)[0] == (0, "resolved", 1, 400)


def test_levels_that_close_around_an_expired_wait_do_so_in_order_of_time() -> None:
    """Times that end with the value end first, as on a tick."""
    for closed, changes in ((300, [("resolved", "schedule")]), (400, [("resolved", "schedule")])):
        one = alert(WARNING, active=waiting(100))
        one.levels[0].up = 100
        apply_readings(one, [reading(0, 0, 500, expired=400, closed=closed)])
        assert [(each.change.event, each.change.cause) for each in one.events] == changes
        assert one.events[0].change.at == closed
    one = alert(WARNING, CRITICAL, active=waiting(100))
    one.levels[0].up = 100
    one.levels[1].up = 100
    apply_readings(
        one, [reading(0, 0, 500, expired=400, closed=300), reading(0, 1, 500, expired=400, closed=450)]
    )
    assert [(each.change.cause, each.change.at) for each in one.events] == [("expired", 400)]
