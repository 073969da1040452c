"""Which alerts a database is told of again, and when."""

from __future__ import annotations

from typing import cast

from edge_gateway.rules.alerts.evaluator import Evaluator
from edge_gateway.service.reminders import MOST_AT_ONCE, REMIND_EVERY, Reminders


class Firing:
    """Rules of which these alerts fire."""

    def __init__(self, *ids: str) -> None:
        self.ids = list(ids)

    def firing_ids(self) -> list[str]:
        return self.ids


def due(reminders: Reminders, firing: Firing, now: int) -> list[str]:
    return reminders.due(cast("Evaluator", firing), now)


def test_all_that_fires_is_told_after_a_start_and_a_day_later() -> None:
    reminders, firing = Reminders(), Firing("a", "b")
    assert due(reminders, firing, 5_000) == ["a", "b"]
    firing.ids = ["b", "c"]
    assert due(reminders, firing, 5_000 + REMIND_EVERY - 1) == []
    assert due(reminders, firing, 5_000 + REMIND_EVERY) == ["b", "c"]
    assert due(reminders, firing, 5_000 + REMIND_EVERY) == []


def test_many_are_told_in_steps() -> None:
    reminders, firing = Reminders(), Firing(*map(str, range(2 * MOST_AT_ONCE + 1)))
    steps = [due(reminders, firing, now) for now in range(4)]
    assert [len(step) for step in steps] == [MOST_AT_ONCE, MOST_AT_ONCE, 1, 0]
    assert [one for step in steps for one in step] == firing.ids
