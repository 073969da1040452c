"""The oracle of arrivals: it agrees with the product however a history is cut, and sees what is wrong."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.fleet.arrivals import boot_mark
from edge_gateway.status.clock import MachineClock
from edge_gateway.store import late_job
from tests.proofs.ground.far_past import send_back
from tests.proofs.ground.inside import rules_of
from tests.proofs.ground.plain_messages import START
from tests.proofs.order.field import miscounted, shifted
from tests.proofs.order.histories import Arrival, Birth, History, Message, Reading, history
from tests.proofs.order.oracle import Device, Oracle, WindowId
from tests.proofs.order.trial import ORACLE_SETTINGS, RULES, Trial
from tests.proofs.proof import Findings


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return rules_of(tmp_path_factory.mktemp("rules"), RULES)


def trial(place: Path, rules: dict[str, Any], seed: int, told: History) -> list[str]:
    return Trial(place, rules, random.Random(seed), Findings()).run(told)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(0, 1 << 32))
def test_any_history_in_any_batches_ends_as_the_oracle_says(
    tmp_path_factory: pytest.TempPathFactory, rules: dict[str, Any], life: int, cuts: int
) -> None:
    told = history(random.Random(life), most_steps=25)
    assert trial(tmp_path_factory.mktemp("history"), rules, cuts, told) == []


def test_a_history_without_any_time_has_a_trial_after_trimming_too(
    tmp_path: Path, rules: dict[str, Any]
) -> None:
    told = History((Arrival(START, Reading("d", "town", 1, 0, None, {"heat": 6.0})),), ())
    assert [trial(tmp_path / str(seed), rules, seed, told) for seed in range(10)] == [[]] * 10


def test_the_order_proof_notices_a_gateway_that_forgets_messages(
    tmp_path: Path, rules: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot_mark.BootMark, "_fill", lambda *_: False)
    wrong = [trial(tmp_path / str(seed), rules, seed, history(random.Random(seed))) for seed in range(3)]
    assert any("expected" in sentence for found in wrong for sentence in found)


def test_the_order_proof_notices_a_missing_correction(
    tmp_path: Path, rules: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_job.LateJob, "_merge_tier", lambda _job, _tier, piece, *_: piece.tiers < 0)
    wrong = [trial(tmp_path / str(seed), rules, seed, history(random.Random(seed))) for seed in range(3)]
    assert any("WindowId" in sentence for found in wrong for sentence in found)


def test_the_oracle_recognises_duplicates_conflicts_and_clock_steps() -> None:
    oracle = Oracle(ORACLE_SETTINGS)
    first = Reading("d", "town", 1, 0, START, {"heat": 6.0})
    for at, said in enumerate(
        [
            first,
            first,
            replace(first, ts=START + 9),
            replace(first, seq=2, ts=START - 5_000),
            replace(first, seq=1),
        ]
    ):
        oracle.take(Arrival(START + at, said))
    counters = oracle.devices["d"].counters
    assert {name: counters[name] for name in ("new", "duplicate", "conflicts", "small_clock_steps")} == {
        "new": 3,
        "duplicate": 1,
        "conflicts": 1,
        "small_clock_steps": 1,
    }
    assert oracle.windows[WindowId("d", "heat", 2_000, START)].facts() == (2, 12.0, 6.0, 6.0, 6.0, 6.0)


BEHIND = 3_600_000


def stepped(*, pace: int, announced: bool) -> Device:
    """What the oracle makes of a device whose clock goes back an hour; a message every `pace` ms."""
    oracle = Oracle(ORACLE_SETTINGS)
    first = Reading("d", "town", 1, 0, START, {"heat": 1.0})
    older = [replace(first, seq=1 + at, ts=START - BEHIND + at) for at in range(3)]
    born = Birth("d", "town", 2, 0, START - BEHIND, "probe", {})
    said: list[Message] = [first, *older]
    if announced:
        said = [first, born, *(replace(one, boot=2, seq=one.seq - 1) for one in older)]
    for at, message in enumerate(said):
        oracle.take(Arrival(START + at * pace, message))
    return oracle.devices["d"]


def test_a_step_that_depends_on_the_arrival_is_not_judged_where_that_is_not_known() -> None:
    slow, quick = stepped(pace=1_000, announced=False), stepped(pace=0, announced=False)
    assert (slow.counters["clock_steps"], quick.counters["clock_steps"]) == (1, 0)
    for expected in (slow, quick):
        for steps in (0, 1):
            assert not list(miscounted(Counter({**expected.counters, "clock_steps": steps}), expected))


@pytest.mark.parametrize("pace", [0, 1_000])
def test_a_gateway_that_counts_no_steps_is_noticed_whenever_messages_arrive(pace: int) -> None:
    expected = stepped(pace=pace, announced=True)
    assert not list(miscounted(expected.counters, expected))
    told = Counter({**expected.counters, "clock_steps": 0})
    assert list(miscounted(told, expected)) == ["clock_steps 0, expected 1"]


@pytest.mark.parametrize("counter", ["clock_steps", "small_clock_steps"])
def test_histories_hold_steps_that_no_arrival_changes(counter: str) -> None:
    oracle = Oracle(ORACLE_SETTINGS)
    for place in range(40):
        for one in shifted(history(random.Random(place)), f"h{place}", START):
            oracle.take(one)
    found = [
        list(miscounted(Counter({**device.counters, counter: 0}), device))
        for device in oracle.devices.values()
    ]
    assert any(found)


def test_a_clock_is_set_back_until_the_flag_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MachineClock, "wall", MachineClock.wall)
    monkeypatch.setattr("edge_gateway.status.clock.synchronised", lambda: True)
    flag = tmp_path / "flag"
    flag.touch()
    send_back(flag)
    clock = MachineClock()
    assert clock.wall() < START
    assert not clock.trusted()
    flag.unlink()
    assert clock.trusted()
    assert abs(clock.wall() - time.time() * 1000) < 10_000
