"""What a start learns of the time from the spool, under a clock that may be wrong."""

from pathlib import Path

import pytest

from edge_gateway.journal import spool
from edge_gateway.records.inputs import ClockConfirmed, Moment
from edge_gateway.recovery.startup import recover_spool
from edge_gateway.status.clock import AGED_A_START, BUILT
from tests.proofs.ground.inside import GivenClock, Inside, configuration
from tests.proofs.order.histories import Reading

HOUR = 3_600_000
WITHIN = 60_000
"""Milliseconds a slow machine may take for a few lines of a test."""


@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_life_in_1970_does_not_make_a_clock_right_that_is_behind(
    tmp_path: Path, *, checkpoint: bool
) -> None:
    """Not before the newest journaled time: else a clock that stands months behind would be believed next."""
    now = BUILT + 10_000_000_000
    inside = Inside(tmp_path, configuration(tmp_path), now)
    for seq, (wall, trusted) in enumerate([(now, True), (1_000, False)]):
        said = Reading("d", "s", 1, seq, now + seq, {"heat": 1.0})
        inside.deliver(Moment(wall, seq, trusted), [said.delivery()])
        inside.commit()
        if checkpoint:
            inside.checkpoint()
        inside.crash()
    inside.clock.seen = BUILT
    inside.crash()
    assert inside.clock.seen == now
    inside.close()


@pytest.mark.parametrize("outvoted", [False, True])
def test_a_life_years_ahead_leaves_the_time_that_has_certainly_passed(
    tmp_path: Path, *, outvoted: bool
) -> None:
    now, years = BUILT + 10_000_000_000, 3 * 365 * 86_400_000
    inside = Inside(tmp_path, configuration(tmp_path), now)
    ahead = [Moment(now + years, 1, trusted, least=now + 5_000) for trusted in (True, False)[: 1 + outvoted]]
    for seq, moment in enumerate([Moment(now, 0), *ahead]):
        inside.deliver(moment, [Reading("d", "s", 1, seq, now + seq, {"heat": 1.0}).delivery()])
        inside.commit()
    inside.crash()
    assert (inside.clock.least, inside.clock.seen) == (now + 5_000, now + (5_000 if outvoted else years))
    assert inside.clock.aged == now + 5_000 + AGED_A_START
    inside.close()


@pytest.mark.parametrize("ahead", [0, 3 * 365 * 86_400_000])
def test_a_clock_years_ahead_withholds_no_point(tmp_path: Path, ahead: int) -> None:
    (tmp_path / "token").write_text("secret")
    influx = {"url": "http://127.0.0.1:1", "org": "o", "token": "env:HOME"}
    windows = [{"every": "2s", "bucket": "b", "keep": "1d"}]
    now = BUILT + 10_000_000_000
    inside = Inside(
        tmp_path / "spool", configuration(tmp_path / "spool", influx=influx, windows=windows), now
    )
    for second in range(0, 60, 5):
        wall = now + second * 1_000
        moment = Moment(wall + ahead, second * 1_000, least=wall, aged=wall)
        inside.deliver(moment, [Reading("d", "s", 1, second, wall, {"heat": 1.0}).delivery()])
    inside.settle(moment)
    facts = inside.store.facts()
    assert (facts.counters.get("points_beyond_retention", 0), facts.waiting["influx"].lines) == (0, 12)
    inside.close()


def test_a_store_lost_under_a_clock_years_ahead_takes_late_readings_once_the_time_is_known(
    tmp_path: Path,
) -> None:
    now, years = BUILT + 10_000_000_000, 3 * 365 * 86_400_000
    inside = Inside(tmp_path, configuration(tmp_path), now)
    inside.deliver(Moment(now, 0), [Reading("d", "s", 1, 0, now, {"heat": 1.0}).delivery()])
    inside.checkpoint()
    inside.close()
    (tmp_path / spool.STORE).unlink()
    inside.clock.now = now + years
    inside.start()
    assert inside.store.floor == now + years
    inside.fold(ClockConfirmed(Moment(now + 7_000, 7_000, least=now + 2_000)))
    inside.commit()
    assert inside.store.floor == now + 5_000
    inside.close()


@pytest.mark.parametrize(
    ("set_by", "trusted", "expected"),
    [(HOUR, True, HOUR), (-HOUR, True, None), (HOUR, False, None)],
    ids=["it was stopped for an hour", "its clock was set back", "its clock is not trusted"],
)
def test_monotonic_time_goes_on_by_what_is_known_of_the_time_in_between(
    tmp_path: Path, set_by: int, expected: int | None, *, trusted: bool
) -> None:
    now = BUILT + 10_000_000_000
    inside = Inside(tmp_path, configuration(tmp_path), now)
    said = Reading("d", "s", 1, 0, now, {"heat": 1.0})
    inside.deliver(Moment(now, 0, trusted=True, monotonic=5_000), [said.delivery()])
    inside.commit()
    inside.close()
    clock = GivenClock(now=now + set_by, believed=trusted)
    found = recover_spool(tmp_path, inside.config, "gw", clock)
    found.journal.close()
    found.store.close()
    assert found.stopped_for == expected
    assert 0 <= clock.monotonic() - 5_000 - (expected or 0) < WITHIN


def test_what_an_earlier_clock_was_off_by_does_not_move_the_floor_of_a_store_lost_later(
    tmp_path: Path,
) -> None:
    now, years = BUILT + 10_000_000_000, 3 * 365 * 86_400_000
    inside = Inside(tmp_path, configuration(tmp_path), now)
    inside.fold(ClockConfirmed(Moment(now + years, 7_000, least=now)))
    after = now + years + 1_000
    inside.deliver(Moment(after, 8_000), [Reading("d", "s", 1, 0, after, {"heat": 1.0}).delivery()])
    inside.commit()
    inside.checkpoint()
    inside.close()
    (tmp_path / spool.STORE).write_bytes(b"damaged" * 2_000)
    inside.start()
    while inside.store.facts().salvaging:
        inside.store.salvage()
    assert inside.store.floor == after
    inside.close()
