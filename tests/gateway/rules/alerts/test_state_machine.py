"""One alert: when its levels switch, what state that makes, and when time alone changes it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_gateway.rules.alerts.state_machine import (
    NOTHING,
    ActiveAlert,
    LevelState,
    StateChange,
    advance,
    next_due,
    switch_due,
    switch_off_cleared,
)
from edge_gateway.rules.columns.program import NEVER, Latch
from edge_gateway.rules.columns.schedules import ALWAYS

LATCH = Latch(
    rule=0, key=1, rank=1, column=0, threshold=1.0, sign=1.0, clear_column=0, clear_threshold=1.0, clear_sign=1.0,
    value_column=0, for_ms=10, for_count=NEVER, keep_ms=20, warmup_ms=0, limit=1.0, raises=True, coupled=True,
    schedule=ALWAYS, timed=ALWAYS, watched=(0, 0),
)  # fmt: skip


def level(rank: int = 1, *, on: bool = False, up: int = 0, down: int = 0, raises: bool = True) -> LevelState:
    latch = replace(LATCH, key=rank, rank=rank, raises=raises)
    return LevelState(0, latch, on, up, down, stamps=int(up > 0), last_at=up)


def firing(rank: int, at: int = 100) -> ActiveAlert:
    return ActiveAlert(StateChange("firing", "reading", "firing", rank, NOTHING, at), at, "an id", 7)


def pending(rank: int, at: int = 100) -> ActiveAlert:
    return ActiveAlert(StateChange("pending", "reading", "pending", rank, NOTHING, at), at)


def test_a_level_is_on_once_it_was_beyond_its_threshold_for_so_long() -> None:
    one = level()
    one.read(100, is_up=True, is_down=False)
    assert (one.on, one.up) == (False, 100)
    one.read(109, is_up=True, is_down=False)
    assert not one.on
    one.read(110, is_up=True, is_down=False)
    assert one.on


def test_a_level_is_on_at_so_many_readings_in_a_row() -> None:
    one = level()
    one.latch = replace(LATCH, for_ms=NEVER, for_count=3)
    for at, is_up in ((100, True), (101, True), (101, True), (102, False), (103, True), (104, True)):
        one.read(at, is_up=is_up, is_down=False)
        assert not one.on
    one.read(105, is_up=True, is_down=False)
    assert (one.on, one.stamps) == (True, 3)


def test_a_break_starts_the_wait_over() -> None:
    one = level(up=100)
    one.read(105, is_up=False, is_down=False)
    one.read(106, is_up=True, is_down=False)
    assert one.up == 106


def test_clear_is_remembered_while_it_lasts() -> None:
    one = level(on=True)
    one.read(100, is_up=False, is_down=True)
    one.read(105, is_up=False, is_down=True)
    assert (one.on, one.up, one.down) == (True, 0, 100)


def test_only_the_last_level_waits_for_keep_firing_for() -> None:
    high, low = level(2, on=True, down=100), level(1, on=True, down=100)
    switch_off_cleared([low, high], 100, [low, high])
    assert (high.on, low.on) == (False, True)
    switch_off_cleared([low, high], 119, [low])
    assert low.on
    switch_off_cleared([low, high], 120, [low])
    assert not low.on


def test_a_level_that_raises_no_alert_does_not_wait() -> None:
    one = level(on=True, down=100, raises=False)
    switch_off_cleared([one], 100, [one])
    assert not one.on


def test_a_level_that_was_not_evaluated_stays() -> None:
    high, low = level(2, on=True, down=100), level(1, on=True)
    switch_off_cleared([low, high], 200, [low])
    assert high.on


@pytest.mark.parametrize(
    ("before", "levels", "changes"),
    [
        (None, [level()], []),
        (None, [level(up=100)], [("pending", "pending", 1, NOTHING)]),
        (None, [level(on=True)], [("firing", "firing", 1, NOTHING)]),
        (pending(1), [level(up=100)], []),
        (pending(1), [level()], [("resolved", "inactive", 1, NOTHING)]),
        (pending(1), [level(on=True)], [("firing", "firing", 1, NOTHING)]),
        (firing(1), [level(on=True)], []),
        (firing(1), [level(1, on=True), level(2, on=True)], [("escalated", "firing", 2, 1)]),
        (firing(2), [level(1, on=True), level(2)], [("deescalated", "firing", 1, 2)]),
        (firing(1), [level()], [("resolved", "resolved", 1, 1)]),
        (
            firing(2),
            [level(1, up=9), level(2)],
            [("resolved", "resolved", 2, 2), ("pending", "pending", 1, NOTHING)],
        ),
        (None, [level(on=True, raises=False)], []),
    ],
)
def test_transitions(
    before: ActiveAlert | None, levels: list[LevelState], changes: list[tuple[str, str, int, int]]
) -> None:
    copy = None if before is None else replace(before)
    after, found = advance(copy, levels, 200, "reading")
    assert [(each.event, each.state, each.rank, each.previous) for each in found] == changes
    assert all((each.at, each.cause) == (200, "reading") for each in found)
    ends = bool(changes) and changes[-1][1] in ("resolved", "inactive")
    assert (after is None) == (ends or (before is None and not changes))


def test_a_change_says_what_happened_and_why() -> None:
    assert advance(None, [level(on=True)], 200, "no_data")[1][0][:3] == ("firing", "no_data", "firing")
    assert advance(firing(1), [level()], 200, "removed")[1][0][:3] == ("resolved", "removed", "resolved")
    assert advance(pending(1), [level()], 200, "expired")[1][0][:3] == ("resolved", "expired", "inactive")
    lower = advance(firing(2), [level(1, on=True)], 200, "reload")[1][0]
    assert lower[:3] == ("deescalated", "reload", "firing")


def test_an_alert_keeps_its_id_and_changes_never_go_back_in_time() -> None:
    after, _ = advance(pending(1, at=100), [level(on=True)], 200, "reading")
    assert after is not None
    assert (after.at, after.notified_at) == (200, 200)
    _, changes = advance(firing(1, at=300), [level()], 200, "time")
    assert changes == [StateChange("resolved", "time", "resolved", 1, 1, 300)]
    higher, changes = advance(firing(1, at=300), [level(2, on=True)], 200, "reading")
    assert changes == [StateChange("escalated", "reading", "firing", 2, 1, 300)]
    assert higher == ActiveAlert(changes[0], 300, "an id", 7)
    _, changes = advance(firing(1, at=300), [level(up=150)], 200, "time")
    assert [(each.event, each.at) for each in changes] == [("resolved", 300), ("pending", 300)]


@pytest.mark.parametrize(
    ("levels", "due"),
    [
        ([level()], None),
        ([level(up=100)], 110),
        ([level(on=True)], None),
        ([level(on=True, down=100)], 120),
        ([level(2, on=True, down=100), level(1, on=True)], 100),
        ([level(2, up=105), level(1, up=100)], 110),
        ([level(up=995)], None),
        ([level(up=990)], 1000),
        ([level(up=991)], None),
        ([level(on=True, down=980)], 1000),
        ([level(on=True, down=981)], None),
        ([level(on=True, down=1000, raises=False)], 1000),
    ],
)
def test_the_next_time_at_which_something_is_due(levels: list[LevelState], due: int | None) -> None:
    assert next_due(levels, 1000) == due


def test_switching_what_is_due() -> None:
    rising, waiting, clear = level(up=100), level(up=105), level(2, on=True, down=90)
    switch_due([rising, waiting, clear], 110)
    assert (rising.on, waiting.on, clear.on) == (True, False, False)
