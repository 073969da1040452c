"""A spool that lacks what the gateway did before is reported, once, before anything is counted on top of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edge_gateway.journal import spool
from edge_gateway.mqtt.ownership import Ownership
from edge_gateway.records.inputs import Moment, StateLost
from edge_gateway.service import lost_state
from edge_gateway.service.lost_state import LostState
from edge_gateway.status.counters import Counters
from edge_gateway.status.problems import Problems


class Rig:
    """A `LostState`, what it folds, and the records it waits for."""

    def __init__(self, place: Path, *, fresh: bool) -> None:
        self.folded: list[StateLost] = []
        self.applied: list[int] = []
        self.marked: list[bool] = []
        self.problems = Problems(lambda: 0)
        self.place = place
        engine = SimpleNamespace(
            fold=self.folded.append,
            moment=lambda: Moment(0, 0),
            submit=lambda: 7,
        )
        store = SimpleNamespace(applied=self._applied)
        self.lost = LostState(place, fresh, cast("Any", engine), cast("Any", store), self.problems)

    async def _applied(self, number: int) -> None:
        self.applied.append(number)
        self.marked.append((self.place / spool.RESTORED).exists())

    @property
    def codes(self) -> list[str]:
        return [one.code for one in self.problems]


@pytest.mark.problem("raises", "spool_lost")
def test_only_a_new_spool_at_a_broker_with_a_session_of_the_gateway_is_a_lost_one(tmp_path: Path) -> None:
    old, new = Rig(tmp_path, fresh=False), Rig(tmp_path, fresh=True)
    old.lost.connected(True)
    new.lost.connected(False)
    assert (old.codes, new.codes) == ([], [])
    new.lost.connected(True)
    [problem] = new.problems
    assert problem.text == (
        f"the broker knows this gateway but the spool {tmp_path} is new: windows in progress are partial"
    )
    assert new.folded == [StateLost(Moment(0, 0))]


async def test_a_new_spool_is_a_lost_one_too_where_only_the_status_of_an_earlier_start_is_left(
    tmp_path: Path,
) -> None:
    rig = Rig(tmp_path, fresh=True)
    await rig.lost.outdated()
    rig.lost.connected(True)
    assert rig.codes == ["spool_lost"]
    assert rig.folded == [StateLost(Moment(0, 0))], "once"
    assert rig.applied == [7]


@pytest.mark.problem("raises", "spool_copy")
async def test_a_begun_spool_that_does_not_know_the_last_start_is_a_copy(tmp_path: Path) -> None:
    rig = Rig(tmp_path, fresh=False)
    await rig.lost.outdated()
    assert rig.codes == ["spool_copy"]
    assert rig.folded == [StateLost(Moment(0, 0), copied=True)]
    assert rig.applied == [7], (
        "the store has it before the own status replaces the other one, and before anything is sent"
    )


async def test_an_operators_mark_is_removed_once_its_loss_is_on_disk(tmp_path: Path) -> None:
    rig = Rig(tmp_path, fresh=False)
    await rig.lost.note_restored()
    assert not rig.folded
    spool.mark_restored(tmp_path)
    await rig.lost.note_restored()
    assert rig.folded == [StateLost(Moment(0, 0), copied=True)]
    assert rig.marked == [True]
    assert not (tmp_path / spool.RESTORED).exists()


class Sink:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.held = asyncio.Event()

    def hold_back(self, why: str) -> None:
        self.told.append(why)
        self.held.set()

    async def run(self) -> None:
        self.told.append("run")


async def test_a_sink_waits_for_the_broker_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lost_state, "LEARN_WITHIN", 0.01)
    sink, problems = Sink(), Problems(lambda: 0)
    ownership = Ownership(["0" * 16], lambda: 0.0, Counters(), problems)
    running = asyncio.create_task(lost_state.run_when_known(cast("Any", sink), ownership))
    await asyncio.wait_for(sink.held.wait(), 60)
    assert sink.told == [lost_state.UNKNOWN]
    await ownership.learned()
    await running
    assert sink.told == [lost_state.UNKNOWN, "run"]
