"""What deliveries say about their devices' problems."""

import numpy as np
import pytest

from edge_gateway.fleet.admission import Admission, AdmissionPolicy
from edge_gateway.fleet.limits import RegistryLimits
from edge_gateway.fleet.registry import Registry
from edge_gateway.fleet.watch.deliveries import DeliveryWatch
from edge_gateway.fleet.watch.streaks import Streak
from edge_gateway.records.inputs import Batch, Moment
from fleet_wire.telemetry import encode_telemetry
from fleet_wire.topics import TELEMETRY, device_topic
from tests.gateway.fleet.states import packed, unpacked

T = 1_760_000_000_000
MAX_AGE = 60_000


class Gateway:
    """An admission with one device, `a` at site `north`, and room for two."""

    def __init__(self) -> None:
        self.registry = Registry(RegistryLimits(devices=2))
        self.admission = Admission(self.registry, AdmissionPolicy(max_reading_age=MAX_AGE))
        self.registry.device("north", "a")
        self.seq = 0

    @property
    def watch(self) -> DeliveryWatch:
        return self.admission.watch

    def admit(self, *payloads: bytes, device: str = "a", now: int = 0, trusted: bool = True) -> None:
        self.registry.set_clock(now)
        topics = [device_topic("north", device, TELEMETRY)] * len(payloads)
        self.admission.admit(Batch(Moment(T, now, trusted), topics, list(payloads)))

    def message(self, ts: int | None = T, seq: int | None = None) -> bytes:
        self.seq, seq = (self.seq + 1, self.seq) if seq is None else (self.seq, seq)
        return encode_telemetry(1, seq, ts, {"t": 1.0})

    def troubles(self) -> list[str]:
        return [topic for topic, _ in self.watch.troubles.current(0)]


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


class TestTopics:
    def test_three_bad_messages_in_a_row_trouble_a_device_and_a_good_one_ends_it(
        self, gateway: Gateway
    ) -> None:
        gateway.admit(b"bad", b"bad")
        assert gateway.troubles() == []
        gateway.admit(b"bad")
        assert gateway.troubles() == ["fleet/v1/north/a/telemetry"]
        gateway.admit(gateway.message())
        assert gateway.troubles() == []

    def test_within_a_batch_the_order_of_arrival_decides(self, gateway: Gateway) -> None:
        gateway.admit(b"bad", gateway.message(), b"bad", b"bad")
        assert gateway.troubles() == []
        gateway.admit(b"bad")
        assert gateway.troubles() == ["fleet/v1/north/a/telemetry"]

    def test_a_stranger_s_first_bad_message_is_a_trouble(self, gateway: Gateway) -> None:
        gateway.admit(b"bad", device="unknown")
        assert gateway.troubles() == ["fleet/v1/north/unknown/telemetry"]

    def test_a_status_or_ack_is_noted_by_its_own_topic(self, gateway: Gateway) -> None:
        gateway.watch.accepted("north", "a", "status")
        gateway.watch.quarantined("north", "a", "status", "bad birth")
        gateway.watch.quarantined("south", "a", "status", "wrong site")
        assert gateway.troubles() == ["fleet/v1/north/a/status", "fleet/v1/south/a/status"]
        known = gateway.watch.snapshot()["troubles"]["_known"]
        assert [topic for topic, *_ in known] == ["fleet/v1/north/a/status"]
        gateway.watch.accepted("north", "a", "status")
        assert gateway.troubles() == ["fleet/v1/south/a/status"]

    def test_a_device_that_registers_after_its_birth_was_refused_for_room_is_noticed(
        self, gateway: Gateway
    ) -> None:
        devices = np.array([0])
        assert not gateway.watch.registered(devices)
        gateway.watch.quarantined("north", "a", "status", "bad birth")
        assert not gateway.watch.registered(devices)
        gateway.watch.quarantined("north", "a", "status", "too_many_devices")
        assert gateway.watch.registered(devices)
        assert gateway.troubles() == []


class TestTimes:
    def test_an_old_time_is_a_streak_with_time_and_arrival(self, gateway: Gateway) -> None:
        old = T - MAX_AGE - 1
        gateway.admit(gateway.message(old), gateway.message(old), now=7)
        assert gateway.watch.times.of(0) == Streak(2, 7, old, T)

    def test_a_time_as_old_as_allowed_or_none_at_all_is_no_problem(self, gateway: Gateway) -> None:
        gateway.admit(gateway.message(T - MAX_AGE), gateway.message(None))
        assert not gateway.watch.times.on

    def test_an_implausible_time_is_told_as_it_was_sent(self, gateway: Gateway) -> None:
        gateway.admit(gateway.message(5))
        assert gateway.watch.times.of(0) == Streak(1, 0, 5, T)

    def test_a_good_time_ends_the_streak(self, gateway: Gateway) -> None:
        gateway.admit(gateway.message(5))
        gateway.admit(gateway.message())
        assert not gateway.watch.times.on

    def test_repeated_messages_and_an_untrusted_clock_say_nothing_of_times(self, gateway: Gateway) -> None:
        gateway.admit(gateway.message(T - MAX_AGE - 1), trusted=False)
        assert not gateway.watch.times.on
        gateway.admit(gateway.message(T - MAX_AGE - 1, seq=0))
        assert not gateway.watch.times.on

    def test_a_clock_that_is_not_trusted_any_more_ends_what_it_said_of_times(self, gateway: Gateway) -> None:
        gateway.admit(gateway.message(5))
        gateway.admit(gateway.message(), trusted=False)
        assert not gateway.watch.times.on
        assert gateway.watch.times.at_least(1).tolist() == []


class TestRepeats:
    def test_messages_that_came_before_are_a_streak_with_boot_and_seq(self, gateway: Gateway) -> None:
        gateway.admit(gateway.message(), gateway.message())
        assert not gateway.watch.repeats.on
        gateway.admit(gateway.message(seq=0), gateway.message(seq=1), now=7)
        assert gateway.watch.repeats.of(0) == Streak(2, 7, 1, 1)
        gateway.admit(gateway.message())
        assert not gateway.watch.repeats.on

    def test_a_conflict_neither_continues_nor_ends_a_streak(self, gateway: Gateway) -> None:
        gateway.admit(gateway.message(), gateway.message())
        gateway.admit(gateway.message(seq=0))
        gateway.admit(gateway.message(T + 1, seq=1))
        assert gateway.watch.repeats.of(0).length == 1


def test_a_retired_device_has_no_streaks(gateway: Gateway) -> None:
    gateway.admit(gateway.message(5), gateway.message(5, seq=0))
    assert gateway.watch.times.on
    gateway.watch.forget(np.array([0]))
    assert gateway.watch.times.at_least(1).tolist() == gateway.watch.repeats.at_least(1).tolist() == []


def test_the_watch_comes_back_from_a_checkpoint(gateway: Gateway) -> None:
    gateway.admit(gateway.message(5), gateway.message(5, seq=0), b"bad")
    again = DeliveryWatch(gateway.registry, MAX_AGE)
    again.restore(unpacked(packed(gateway.watch.snapshot())))
    assert packed(again.snapshot()) == packed(gateway.watch.snapshot())
    assert again.times.of(0) == gateway.watch.times.of(0)
