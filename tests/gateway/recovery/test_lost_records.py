"""A lost record takes its own readings with it, and nothing of what the others hold: no name, window or device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_gateway.fold import pipeline
from edge_gateway.fold.effects import Effects
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.journal import spool
from edge_gateway.records.closings import Closings
from edge_gateway.records.inputs import Batch, Input, Moment, StateLost
from edge_gateway.status.catalogue import Problem
from edge_gateway.store.history import History
from fleet_wire import control_messages, topics
from fleet_wire.telemetry import encode_telemetry
from tests.gateway.recovery.journaled import START, journal, opened, stop

RECORDS = 30
EVERY = (5_000, 10_000)
BASE = EVERY[0]
METRICS = ("heat", "level", "door")
Windows = Counter[tuple[str, str, int]]
"""How many readings base windows hold, by (device, metric, start); of texts only that they are there."""


@dataclass(frozen=True)
class Life:
    """What devices do, a record a second.

    Attributes:
        joins: the record from which on each device sends.
        retypes: the record with a birth of each device, which gives it a type; 0 for none.
    """

    joins: tuple[int, ...]
    retypes: tuple[int, ...]

    def batch(self, number: int) -> Batch:
        """The messages of a record: births, then a reading of each metric of each device."""
        here = [device for device, first in enumerate(self.joins) if number >= first]
        births = [self._birth(device, number) for device in here if self.retypes[device] == number]
        messages = births + [_reading(device, number) for device in here]
        moment = Moment(START + number * 1000, number * 1000)
        return Batch(moment, [topic for topic, _ in messages], [payload for _, payload in messages])

    def _birth(self, device: int, number: int) -> tuple[str, bytes]:
        birth = control_messages.Birth(type=f"type-{number}", boot=1, next=0, floor=0)
        return topics.device_topic("berlin", f"d{device}", topics.STATUS), control_messages.encode_birth(
            birth
        )

    def windows(self, numbers: Collection[int]) -> Windows:
        """The windows of the readings in these records."""
        found = Windows()
        for number in numbers:
            for device, first in enumerate(self.joins):
                for metric in METRICS if number >= first else ():
                    at = START + number * 1000
                    found[f"d{device}", metric, at - at % BASE] += 1
        return found


def _reading(device: int, number: int) -> tuple[str, bytes]:
    values = {"heat": number / 10, "level": 1.0, "door": "open" if number % 3 else f"shut by d{device}"}
    topic = topics.device_topic("berlin", f"d{device}", topics.TELEMETRY)
    return topic, encode_telemetry(1, number, START + number * 1000, values)


def live(place: Path, life: Life, *, applied: int, checkpoint: int = 0) -> None:
    """Record a life that ends with a kill; the store has the records up to `applied`."""
    with opened(place) as running:
        for number in range(1, RECORDS + 1):
            journal(running, number, life.batch(number), apply=number <= applied)
            if number == checkpoint:
                stop(place, running, number)


def lose(place: Path, numbers: Collection[int]) -> None:
    """Flip a bit of each of these records; read as `docs/extend.md` draws the frame, by its magic number."""
    [path] = (place / spool.JOURNAL).glob("*.journal")
    frames = path.read_bytes().split(b"EGJ\x01")
    for number in numbers:
        body = bytearray(frames[number])
        body[-1] ^= 1
        frames[number] = bytes(body)
    path.write_bytes(b"EGJ\x01".join(frames))


def go_on(place: Path, life: Life) -> dict[str, int]:
    """Start again, tell the loss, and let everything close that is open; return the store's counters."""
    with opened(place) as running:
        number = running.number + 1
        if not running.whole:
            journal(running, number, StateLost(life.batch(RECORDS).moment))
        for later in range(RECORDS + 10, RECORDS + 40):
            number += 1
            journal(running, number, life.batch(later))
        while running.store.run_late():
            pass
        return running.store.facts().counters


def stored(place: Path) -> Windows:
    """What the windows of the history hold."""
    found = Windows()
    with History.open(place, EVERY) as history:
        for row in history.query("windows", tier=0):
            found[row["device"], row["metric"], row["start"]] += row["count"]
        for row in history.query("states", tier=0):
            found[row["device"], row["metric"], row["start"]] += 1
    return found


def apart(place: Path, *why: str) -> Windows:
    """What is kept apart for one of these reasons."""
    found = Windows()
    with History.open(place, EVERY) as history:
        for row in history.query("partial", tier=0):
            if row["why"] in why:
                found[row["device"], row["metric"], row["start"]] += row.get("count", 1)
    return found


def judge(place: Path, life: Life, lost: Collection[int]) -> None:
    """Compare what is stored with what was sent, and with what the records hold that can be read.

    A window either has all its readings, also those of lost records, or is in no table but `partial`.
    """
    sent = life.windows(range(1, RECORDS + 1))
    held = life.windows(set(range(1, RECORDS + 1)) - set(lost))
    windows, parts, known = stored(place), apart(place, "lost", "unknown"), apart(place, "unknown")
    newest = START + RECORDS * 1000
    for key, many in sent.items():
        _, metric, start = key
        most = 1 if metric == "door" else BASE
        if start + BASE > newest:
            continue  # in progress at the kill: the loss is told in the middle of it
        if metric != "door":
            assert windows[key] in {0, many}, f"{key} is stored with other readings than were sent"
        assert windows[key] or parts[key] >= min(held[key], most), f"{key} lacks readings"
        assert not known[key] or windows[key], f"{key} is in no window, and yet said to be in one"


CALM = Life(joins=(1,) * 4, retypes=(0,) * 4)


@pytest.fixture(params=[16_384, 4])
def _pace(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "CLOSE_SHARE", 0)
    monkeypatch.setattr(pipeline, "CLOSE_ROWS", request.param)


@pytest.mark.usefixtures("_pace")
@pytest.mark.parametrize("lost", range(4, 9))
def test_windows_of_sound_records_keep_their_names_and_readings(tmp_path: Path, lost: int) -> None:
    live(tmp_path / "spool", CALM, applied=0)
    lose(tmp_path / "spool", {lost})
    assert "unnamed_readings" not in go_on(tmp_path / "spool", CALM)
    judge(tmp_path / "spool", CALM, {lost})


def test_a_store_behind_the_checkpoint_tells_of_records_that_are_lost_between_the_two(tmp_path: Path) -> None:
    place = tmp_path / "spool"
    live(place, CALM, applied=5, checkpoint=20)
    lose(place, {12})
    with opened(place) as running:
        assert Problem.STORE_BEHIND in dict(running.findings)


def test_messages_that_cannot_be_folded_shift_the_numbers_of_devices_that_join_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The replay knows a device later than the next one, so by number the windows that left are those of others."""
    place, life = tmp_path / "spool", Life(joins=(1, 4, 6), retypes=(0, 0, 0))
    live(place, life, applied=0)
    fold, culprits = Pipeline.fold, {_reading(1, number) for number in range(4, 10)}

    def folded(self: Pipeline, given: Input, recorded: Closings | None = None, *, number: int) -> Effects:
        if isinstance(given, Batch) and culprits & set(zip(given.topics, given.payloads, strict=True)):
            raise LookupError("a defect")
        return fold(self, given, recorded, number=number)

    monkeypatch.setattr(Pipeline, "fold", folded)
    with opened(place) as running:
        assert not running.whole, "what is open may be stored"
    assert "unnamed_readings" not in go_on(place, life)
    judge(place, life, ())


@st.composite
def lives(draw: st.DrawFn) -> Life:
    joins = draw(st.lists(st.integers(1, RECORDS), min_size=1, max_size=5))
    retypes = [draw(st.integers(first, RECORDS + first)) for first in joins]
    return Life(tuple(joins), tuple(retypes))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    life=lives(),
    lost=st.sets(st.integers(1, RECORDS - 1), min_size=1, max_size=6),
    applied=st.integers(0, RECORDS),
    checkpoint=st.integers(0, RECORDS - 1),
    store_lost=st.booleans(),
    rows=st.sampled_from([4, 16_384]),
)
def test_whatever_a_lost_record_defined_the_readings_of_the_others_are_kept(  # noqa: PLR0917
    life: Life, lost: set[int], applied: int, checkpoint: int, store_lost: bool, rows: int
) -> None:
    with TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "CLOSE_SHARE", 0)
        patch.setattr(pipeline, "CLOSE_ROWS", rows)
        place = Path(directory) / "spool"
        live(place, life, applied=max(applied, checkpoint), checkpoint=checkpoint)
        lose(place, {number for number in lost if number > checkpoint or not store_lost})
        if store_lost:
            (place / spool.STORE).unlink()
        go_on(place, life)
        judge(place, life, lost)
