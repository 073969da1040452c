"""Every point gets its turn, what a kill was is counted, and one that never came is not."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from tests.proofs.ground.failpoints import POINTS, Attribute
from tests.proofs.ground.sabotaged import Sabotage
from tests.proofs.kills import killing
from tests.proofs.kills.killing import (
    BLOCKING,
    FEWER_CHECKPOINTS,
    HTTP,
    OTHER_CONSTANTS,
    RANDOM,
    RARE,
    RELOADING,
    STARTING,
    STOPPING,
    KillTarget,
    kill_plan,
)
from tests.servers.gateway import Gateway


def test_all_kill_points_are_used_and_those_of_a_database_only_with_one() -> None:
    kinds = set(islice(kill_plan(Random(1), http=True), 100))
    assert kinds >= POINTS.keys() - BLOCKING
    assert not kinds & BLOCKING
    assert not HTTP & set(islice(kill_plan(Random(1), http=False), 200))


def test_groups_name_only_existing_points() -> None:
    assert POINTS.keys() >= {*HTTP, *STARTING, *STOPPING, *RELOADING, *BLOCKING, *RARE}


@pytest.mark.parametrize(
    "place", sorted({place for other in (FEWER_CHECKPOINTS, *OTHER_CONSTANTS) for place, _ in other})
)
def test_every_constant_taken_from_another_program_exists(place: str) -> None:
    *_, held = Attribute.parse(place).resolve()
    assert isinstance(held, int | float)


class Scripted:
    """A gateway that dies by itself at the points of `deadly`."""

    def __init__(self, directory: Path, deadly: set[str]) -> None:
        self.spool = directory
        self.deadly = deadly
        self.running = self.killed = False
        self.started: list[Sabotage] = []

    def start(self, *, ready: bool, sabotage: Sabotage) -> None:
        assert not ready
        self.started.append(sabotage)
        self.killed = sabotage.point in self.deadly
        self.running = not self.killed and sabotage.point != "broken"

    def kill(self) -> None:
        self.running, self.killed = False, True

    def wait_for(self, holds: Callable[[Any], bool], within: float) -> None:
        assert within
        assert holds({"broker": {"connected": True}})

    def words(self, most: int) -> str:
        return "what it said"[:most]

    def write_rules(self, text: str) -> None:
        assert "Hot" in text


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(killing, "PATIENCE", 0.1)
    monkeypatch.setattr(killing, "answers", lambda _: True)
    monkeypatch.setattr("tests.proofs.kills.killing.time.sleep", lambda _: None)


def test_a_kill_that_did_not_happen_is_reported_and_not_counted(hasty: None, tmp_path: Path) -> None:
    gateway = Scripted(tmp_path, {"read", "late"})
    kinds = iter(["read", "encoded", "late", "replaying", "read", "read"])
    killed = KillTarget(cast("Gateway", gateway), Random(1)).kill_repeatedly(kinds, 4)
    assert killed.kills == {RANDOM: 1, "read": 2, "late": 1}
    assert killed.not_reached == {"encoded": 1, "replaying": 1}
    assert gateway.running, "the last start is not sabotaged"
    assert not gateway.started[-1].point
    assert len(killed.recoveries) == 1


def test_recovery_is_killed_again_before_it_ends(hasty: None, tmp_path: Path) -> None:
    gateway = Scripted(tmp_path, set(STARTING))
    killed = KillTarget(cast("Gateway", gateway), Random(1)).kill_repeatedly(
        iter([killing.REPEATEDLY_IN_RECOVERY, "read"]), 5
    )
    assert killed.kills.total() == 1 + killing.RECOVERY_KILLS
    assert all(one.point in STARTING for one in gateway.started[:-1])


def test_a_gateway_that_ends_for_another_reason_is_reported(
    hasty: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(POINTS, "broken", POINTS["read"])
    gateway = Scripted(tmp_path, set())
    with pytest.raises(
        AssertionError, match="expected a kill at 'broken', but the gateway ended otherwise: what it said"
    ):
        KillTarget(cast("Gateway", gateway), Random(1)).kill_repeatedly(iter(["broken"]), 4)
