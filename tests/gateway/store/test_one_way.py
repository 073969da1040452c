"""A stored point never loses readings, and each reading is in its windows of all tiers or told.

The model knows what was sent, and what a database holds that overwrites a point with a newer one of the same key. It
knows nothing of floors, kinds or closing.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.journal.spool import STORE
from edge_gateway.records.inputs import Moment
from fleet_wire import topics
from fleet_wire.control_messages import Birth, encode_birth
from fleet_wire.telemetry import encode_telemetry
from tests.proofs.ground.inside import Inside, configuration

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
START = 1_760_000_400_000
TIERS = {"a": 10 * SECOND, "b": MINUTE, "c": 10 * MINUTE}
DEVICES = ("d0", "d1")


def config(place: Path) -> GatewayConfig:
    windows = [{"every": f"{every // 1000}s", "bucket": name, "keep": "0s"} for name, every in TIERS.items()]
    return configuration(
        place,
        windows=windows,
        history={"keep": "1h"},
        limits={"retire_after": "3h"},
        influx={"url": "http://127.0.0.1:1", "org": "o", "token": "env:TOKEN"},
    )


class Database:
    """What the lines of the outbox make of a database; a line is checked as it comes."""

    def __init__(self) -> None:
        self.points: Counter[tuple[str, str, int]] = Counter()
        """Readings in the point of a bucket, device and start."""
        self.apart: Counter[tuple[str, str, int]] = Counter()
        """The same for windows in `sensor_partial`: no tier takes what the base refused."""
        self.late: list[tuple[str, int]] = []
        """Device and time of readings in `sensor_late`."""

    def take(self, bucket: str, lines: str) -> None:
        for line in lines.splitlines():
            head, fields, at = line.split(" ")
            measurement, *tags = head.split(",")
            key = bucket, dict(tag.split("=") for tag in tags)["device"], int(at) // 10**6
            count = int(dict(field.split("=") for field in fields.split(",")).get("count", "0i")[:-1])
            if measurement == "sensor":
                assert count >= self.points[key], f"{key}: {self.points[key]} readings became {count}"
                self.points[key] = count
            elif measurement == "sensor_partial":
                self.apart[key] = count
            elif measurement == "sensor_late":
                self.late.append(key[1:])

    def counted(self, what: Counter[tuple[str, str, int]], bucket: str) -> Counter[tuple[str, int]]:
        return Counter({key[1:]: count for key, count in what.items() if key[0] == bucket})


class Life:
    """A gateway with a database, and two devices whose clocks do as they like."""

    def __init__(self, place: Path) -> None:
        self.inside = Inside(place, config(place), START)
        self.moment = Moment(START, 0)
        self.sent: list[tuple[str, int]] = []
        self.database = Database()
        self._seq: Counter[tuple[str, int]] = Counter()
        self._boot = dict.fromkeys(DEVICES, 1)

    def send(self, device: str, *at: int, before: bool = False) -> None:
        """Send readings of these times, relative to now; `before`: they are of the boot before this one."""
        messages = []
        boot = self._boot[device] - before
        for ago in at:
            ts = self.moment.wall + ago
            body = encode_telemetry(boot, self._seq[device, boot], ts, {"heat": 1.0})
            messages.append((topics.device_topic("s", device, topics.TELEMETRY), body))
            self._seq[device, boot] += 1
            self.sent.append((device, ts))
        self.inside.deliver(self.moment, messages)

    def reboot(self, device: str, ago: int) -> None:
        """Let a device start anew with a clock that is `ago` ms behind."""
        self._boot[device] += 1
        born = Birth(type="sensor", boot=self._boot[device], next=0, floor=0, ts=self.moment.wall - ago)
        status = topics.device_topic("s", device, topics.STATUS)
        self.inside.deliver(self.moment, [(status, encode_birth(born))])

    def come_back(self, device: str, offline: int, pieces: int, pause: int) -> None:
        """Let a device start anew after a time offline; it sends live readings first, and then in pieces what it kept.

        Beside each piece it sends a live reading, and between them the history is trimmed.
        """
        newest = self.moment.wall
        self.wait(offline)
        self.reboot(device, 0)
        self.send(device, 0)
        kept = list(range(newest + SECOND, self.moment.wall, max(5 * SECOND, offline // 20)))
        for piece in range(pieces):
            at = kept[piece * len(kept) // pieces : (piece + 1) * len(kept) // pieces]
            self.send(device, *(ts - self.moment.wall for ts in at), before=True)
            self.wait(pause)
            self.send(device, 0)
            self.trim()

    def wait(self, ms: int) -> None:
        self.moment = Moment(self.moment.wall + ms, self.moment.listening + ms)
        for _ in range(4):
            self.inside.tick(self.moment)

    def trim(self) -> None:
        self.store()
        self.inside.trim(self.moment)
        self.store()

    def store(self) -> None:
        """Commit, and forward everything to the database."""
        self.inside.commit()
        self.inside.late()
        while (parcel := self.inside.store.take("influx")) is not None:
            self.database.take(parcel.bucket, parcel.body.decode())
            self.inside.store.done(parcel)

    def lose_store(self) -> None:
        """Lose the store's file; what the journal still holds is rebuilt and sent again."""
        self.store()
        self.inside.close()
        for suffix in ("", "-wal", "-shm"):
            (self.inside.place / f"{STORE}{suffix}").unlink(missing_ok=True)
        self.inside.start()

    def restart(self) -> None:
        self.inside.checkpoint()
        self.inside.crash()

    def settle(self) -> None:
        self.moment = self.inside.settle(self.moment)
        self.store()
        self.inside.close()

    def finish(self) -> None:
        """Settle, and compare what is stored and told with what was sent."""
        self.settle()
        late, expected = Counter(self.database.late), Counter(self.sent)
        assert not late - expected
        for bucket, every in TIERS.items():
            wanted = in_windows(expected - late, every)
            found = in_windows(self.database.counted(self.database.points, bucket), every)
            for told in {"a", bucket}:
                found += in_windows(self.database.counted(self.database.apart, told), every)
            assert found == wanted, bucket


def in_windows(readings: Counter[tuple[str, int]], every: int) -> Counter[tuple[str, int]]:
    """Return numbers of readings by device and start of a window, of readings or shorter windows by device and time."""
    found: Counter[tuple[str, int]] = Counter()
    for (device, ts), count in readings.items():
        found[device, ts - ts % every] += count
    return found


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(tmp_path)


def test_a_device_whose_clock_is_old_after_a_reboot_overwrites_nothing_that_was_trimmed(life: Life) -> None:
    life.send("d0", *range(10))
    old = life.moment.wall
    life.wait(2 * HOUR)
    life.send("d0", 0)
    life.wait(HOUR // 2)
    life.trim()
    life.reboot("d0", life.moment.wall - old)
    life.send("d0", old - life.moment.wall)
    life.wait(HOUR)
    life.finish()
    assert life.database.late == [("d0", old)]
    assert life.inside.pipeline.admission.accounting.totals()["too_late"] == 1


def test_a_device_that_comes_back_after_it_was_retired_and_sends_again_overwrites_nothing(life: Life) -> None:
    life.send("d0", *range(10))
    sent_at = life.moment.wall
    life.wait(HOUR // 2)
    life.wait(4 * HOUR)
    life.wait(HOUR)
    life.trim()
    assert life.inside.pipeline.registry.retired == 1
    life.reboot("d0", life.moment.wall - sent_at)
    life.send("d0", *(sent_at + at - life.moment.wall for at in (0, 1, 2)))
    life.wait(HOUR)
    life.finish()
    assert {n for key, n in life.database.points.items()} == {10}, (
        "seen three more times, and never written over"
    )


def test_a_late_reading_is_merged_in_all_tiers_or_in_none(life: Life) -> None:
    """The history is cut within the coarsest window of what is sent late."""
    begin = life.moment.wall
    for _ in range(12):
        life.send("d0", -1, 0)
        life.wait(10 * SECOND)
    life.wait(HOUR - 60 * SECOND)
    life.trim()
    assert life.inside.store.floor > begin
    life.send("d0", 0)
    life.wait(20 * SECOND)
    for ago in range(0, 120, 5):
        life.send("d0", begin + ago * SECOND - life.moment.wall, 0)
    life.wait(HOUR)
    life.finish()
    assert {ts // MINUTE * MINUTE for _, ts in life.database.late} == {begin}
    assert max(life.database.points.values()) == 24 + 11


def test_a_device_with_hours_of_buffer_behind_a_short_history_loses_nothing(life: Life) -> None:
    life.send("d0", 0)
    life.send("d1", 0)
    life.wait(10 * SECOND)
    for _ in range(9):
        life.wait(HOUR)
        life.send("d1", 0)
        life.trim()
    for ago in range(5 * HOUR, 0, -MINUTE):
        life.send("d0", -ago)
        if ago % HOUR == 0:
            life.trim()
    life.wait(HOUR)
    life.finish()
    assert (life.database.late, life.database.apart) == ([], Counter())


def test_a_time_that_a_clock_leaps_over_after_it_was_set_back_is_not_new(life: Life) -> None:
    """The device was not offline then: what it sent of that time is stored and trimmed."""
    life.send("d0", *range(10))
    then = life.moment.wall
    life.wait(2 * HOUR)
    life.trim()
    life.reboot("d0", life.moment.wall - then + MINUTE)
    for at in (then - MINUTE, then + 5 * MINUTE, then):
        life.send("d0", at - life.moment.wall)
    life.wait(HOUR)
    life.finish()
    assert (max(life.database.points.values()), life.database.late) == (
        10,
        [("d0", then - MINUTE), ("d0", then)],
    )


def test_what_a_device_kept_is_not_new_once_windows_of_it_were_closed_and_trimmed(life: Life) -> None:
    life.send("d0", 0)
    begin = life.moment.wall // HOUR * HOUR + HOUR
    life.wait(3 * HOUR)
    life.reboot("d0", 0)
    life.send("d0", 0)
    life.send("d0", *(begin + at * SECOND - life.moment.wall for at in range(5)), before=True)
    life.wait(HOUR)
    life.send("d0", 0)
    life.trim()
    life.send("d0", begin + MINUTE - life.moment.wall, before=True)
    life.wait(HOUR)
    life.finish()
    assert [life.database.points[name, "d0", begin] for name in TIERS] == [5, 5, 5]
    assert life.database.apart == {("c", "d0", begin + MINUTE): 1}


place = st.sampled_from([0, 1, 9, 11, 61, 300, HOUR // SECOND, 2 * HOUR // SECOND, 1 << 20]).map(
    lambda seconds: seconds * SECOND
)
"""A time since the start, so that windows are met again and again; the last one is now."""
device = st.sampled_from(DEVICES)
action = st.one_of(
    st.tuples(st.just("send"), device, place),
    st.tuples(st.just("buffer"), device, place, st.integers(1, 40)),
    st.tuples(st.just("step"), device, place),
    st.tuples(
        st.just("come_back"),
        device,
        st.sampled_from([MINUTE, HOUR // 3, 2 * HOUR]),
        st.integers(1, 3),
        st.sampled_from([0, SECOND, MINUTE, 2 * HOUR]),
    ),
    st.tuples(st.just("wait"), st.sampled_from([SECOND, 10 * SECOND, MINUTE, HOUR // 3, 2 * HOUR, 4 * HOUR])),
    st.tuples(st.just("age"), st.sampled_from([HOUR // 2, 2 * HOUR])),
    st.tuples(st.just("trim")),
    st.tuples(st.just("restart")),
)


def play(life: Life, do: str, *what: Any) -> None:
    if do in {"come_back", "wait", "trim", "restart", "lose_store"}:
        getattr(life, do)(*what)
    elif do == "age":
        life.wait(*what)
        life.trim()
    else:
        device, at, *many = what
        ago = max(0, life.moment.wall - START - at)
        if do == "step":
            life.reboot(device, ago)
        life.send(device, *(-ago + n * ago // (many or [1])[0] for n in range((many or [1])[0])))


@settings(max_examples=40, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(actions=st.lists(action, min_size=5, max_size=40))
def test_whatever_comes_no_point_loses_readings_and_each_is_in_all_tiers_or_told(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[Any, ...]]
) -> None:
    life = Life(tmp_path_factory.mktemp("life"))
    for do in actions:
        play(life, *do)
        life.store()
    life.finish()


@settings(max_examples=40, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(actions=st.lists(action | st.tuples(st.just("lose_store")), min_size=5, max_size=40))
def test_a_store_that_is_lost_takes_no_readings_from_any_point(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[Any, ...]]
) -> None:
    life = Life(tmp_path_factory.mktemp("life"))
    for do in actions:
        play(life, *do)
        life.store()
    life.settle()
