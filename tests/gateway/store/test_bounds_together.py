"""What the bounds of the history and of an outbox do together, while a sink is away for long.

Lines of rows wait in the outbox; blocks wait in the history, and in the outbox only once the history has let them go.
Whichever bound is reached: each holds for its own part of the file, and every window that is stored was sent, waits, or
was counted as it was given up.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from edge_gateway.records.store_effects import StoreEffects
from edge_gateway.store.database import Store
from edge_gateway.store.outbox import OnFull, SinkBudget
from edge_gateway.store.retention import used_bytes
from edge_gateway.store.settings import StoreSettings
from tests.gateway.store.fleet import DAY, MINUTE, SETTINGS, T0, TIERS, closed, name
from tests.gateway.store.stored import opened, table, trim

FEW, MANY = 20, 80
"""Series whose windows are stored as rows and sent as lines, and those whose windows are blocks."""
HOUR = 60 * MINUTE
EMPTY_FILE = 200_000
"""Bytes of pages that are begun, and of names."""


def kept(history: int, outbox: int, on_full: OnFull = "merge", keep: int = 30 * DAY) -> StoreSettings:
    sinks = (SinkBudget("influx", outbox, on_full),)
    return replace(SETTINGS, history_max_bytes=history, history_keep=keep, sinks=sinks)


class Outage:
    """Windows of every tier close minute by minute while nothing is sent; the history is trimmed as they come."""

    def __init__(self, place: Path, settings: StoreSettings, series: int) -> None:
        self.place, self.settings, self.series = place, settings, series
        self.store = opened(place, settings)
        self.chance = Random(1)
        self.minutes = 0
        self.closed = 0
        names = tuple(name(number, region="eu") for number in range(series))
        self.store.apply([(1, [StoreEffects(T0, names)])])

    @property
    def now(self) -> int:
        return T0 + self.minutes * MINUTE

    def last(self, minutes: int, *, trimmed_every: int = 5) -> Store:
        for _ in range(minutes):
            due = [tier for tier, kind in enumerate(TIERS) if not self.now % kind.every]
            windows = tuple(closed(tier, self._readings()) for tier in due)
            self.closed += self.series * len(due)
            self.store.apply([(self.store.applied + 1, [StoreEffects(self.now, windows=windows)])])
            if not self.minutes % trimmed_every:
                trim(self.store, self.now)
            self.minutes += 1
        return self.store

    def again(self, settings: StoreSettings | None = None) -> Store:
        """Restart, with other settings if there are some."""
        self.store.close()
        self.store = opened(self.place, settings or self.settings)
        return self.store

    def _readings(self) -> Sequence[tuple[int, int, float]]:
        return [(series, self.now, self.chance.random()) for series in range(self.series)]

    def account(self) -> tuple[int, int]:
        """Send what waits; return how many lines were sent and how many were counted as given up."""
        while (parcel := self.store.take("influx")) is not None:
            assert parcel.lines == parcel.body.count(b"\n")
            self.store.done(parcel)
        counters = self.store.facts().counters
        sent = counters.get("outbox_sent_lines", 0) + counters.get("outbox_superseded_lines", 0)
        kinds = ("merged_lines", "dropped_lines", "dropped_unconfigured")
        return sent, sum(counters.get(f"outbox_{kind}", 0) for kind in kinds)


@pytest.fixture(params=[FEW, MANY], ids=["rows", "blocks"])
def series(request: pytest.FixtureRequest) -> int:
    count: int = request.param
    return count


def test_a_full_outbox_takes_nothing_of_the_history(tmp_path: Path, series: int) -> None:
    """What its rows take in the file beside their values once counted as history, and emptied it."""
    outage = Outage(tmp_path, kept(1 << 20, 1 << 30), series)
    store = outage.last(3_000)
    waiting, used = store.facts().waiting["influx"].bytes, used_bytes(store._db)
    assert waiting > 2 << 20, "the outbox is the larger part"
    assert 0.8 * (1 << 20) < used - waiting < 1.2 * (1 << 20) + EMPTY_FILE
    store.close()


@pytest.mark.parametrize("on_full", ["merge", "drop_oldest"])
def test_both_bounds_hold_and_every_window_is_sent_or_counted(
    tmp_path: Path, series: int, on_full: OnFull
) -> None:
    outage = Outage(tmp_path, kept(400_000, 300_000, on_full), series)
    store = outage.last(2_500)
    counters = store.facts().counters
    assert counters["history_trimmed"] > 0
    assert used_bytes(store._db) < 1.3 * 700_000 + EMPTY_FILE
    assert 0 < store.facts().waiting["influx"].bytes <= 300_000
    assert counters["outbox_merged_lines" if on_full == "merge" else "outbox_dropped_lines"] > 0
    assert ("outbox_dropped_lines" in counters) == (on_full == "drop_oldest")
    sent, given_up = outage.account()
    assert (sent + given_up, given_up > 0) == (outage.closed, True)
    assert store._db.execute("SELECT COUNT(*) FROM block WHERE first_start>last_start").fetchone() == (0,)
    store.close()


def test_blocks_that_the_history_lets_go_wait_on_though_it_keeps_less_than_the_outage(tmp_path: Path) -> None:
    outage = Outage(tmp_path, kept(1 << 30, 1 << 30, keep=3 * HOUR), MANY)
    store = outage.last(20 * 60)
    base = [row for row in table(store, "window") if row[0] == 0]
    assert MANY * 180 <= len(base) <= MANY * 190
    waiting = store.facts().waiting["influx"]
    assert waiting.lines == outage.closed
    assert 0 < waiting.bytes < used_bytes(store._db)
    outage.again()
    assert outage.account() == (outage.closed, 0)


def test_what_takes_no_room_is_not_given_up_for_what_does(tmp_path: Path) -> None:
    """Blocks of the history stay queued however full the outbox is; lines of alerts and the like go before them."""
    outage = Outage(tmp_path, kept(1 << 30, 2_000, "drop_oldest"), MANY)
    store = outage.last(30)
    for number in range(50):
        store.enqueue(b"gateway,id=g up=%di %d\n" % (number, number), T0)
    assert store.facts().waiting["influx"].bytes <= 2_000
    sent, given_up = outage.account()
    assert (sent + given_up, outage.closed < sent) == (outage.closed + 50, True)
    store.close()


@pytest.mark.parametrize("others", [(), (SinkBudget("archive", 1 << 30),)], ids=["none", "another"])
def test_what_waits_for_a_sink_that_is_no_longer_configured_goes_and_is_counted(
    tmp_path: Path, series: int, others: tuple[SinkBudget, ...]
) -> None:
    settings = kept(300_000, 1 << 30)
    outage = Outage(tmp_path, settings, series)
    store = outage.last(1_000)
    before = len(table(store, "window"))
    store = outage.again(replace(settings, sinks=others))
    assert store.facts().counters["outbox_dropped_unconfigured"] == outage.closed
    assert table(store, "outbox") == []
    assert len(table(store, "window")) == before, "the history has its own"
    assert store._db.execute("SELECT COUNT(*) FROM block WHERE first_start>last_start").fetchone() == (0,)
    store = outage.again()
    assert store.take("influx") is None, "what went does not come back"
    outage.last(5)
    sent, given_up = outage.account()
    assert sent + given_up == outage.closed
    store.close()


def test_an_outage_of_many_blocks_ends_as_fast_as_it_began(tmp_path: Path) -> None:
    """What a parcel costs does not grow with what waits: SQLite's own steps are counted, not time."""
    costs = []
    for minutes in (300, 1_200):
        outage = Outage(tmp_path / f"{minutes}", kept(1 << 30, 1 << 30, keep=HOUR), MANY)
        outage.place.mkdir(exist_ok=True)
        store = outage.last(minutes, trimmed_every=20)
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        parcel = store.take("influx")
        assert parcel is not None
        store._db.set_progress_handler(count, 10)
        store.done(parcel)
        store._db.set_progress_handler(None, 0)
        costs.append(steps)
        store.close()
    assert costs[1] < 1.5 * costs[0]
