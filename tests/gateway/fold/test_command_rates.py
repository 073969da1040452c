"""How fast commands are sent: buckets of devices and of the gateway."""

from __future__ import annotations

from edge_gateway.fold.command_rates import LEAST_BUCKETS, Bucket, CommandRates
from edge_gateway.records import codec
from fleet_config.durations import RateSpec

WALL = 1_000_000
FAST = RateSpec(1_000, 1_000)


def test_a_bucket_holds_one_token_at_least_and_fills_with_time() -> None:
    slow = RateSpec(0.5, 1_000)
    bucket = Bucket.full(slow, WALL)
    assert bucket.level(slow, WALL) == 1.0
    bucket.take(slow, WALL)
    assert [bucket.level(slow, WALL + ms) for ms in (-500, 0, 500, 2_000, 9_000)] == [
        0.0,
        0.0,
        0.25,
        1.0,
        1.0,
    ]


def test_a_used_up_total_rate_takes_no_token_of_a_device() -> None:
    rates = CommandRates(RateSpec(1, 60_000), RateSpec(1, 1_000))
    assert [rates.take(device, 0) for device in ("a", "b")] == [True, False]
    assert [rates.take(device, 1_000) for device in ("a", "b")] == [False, True]


def test_buckets_that_are_full_again_are_forgotten() -> None:
    rates = CommandRates(RateSpec(1, 1_000), FAST)
    assert all(rates.take(f"d{number}", number * 100) for number in range(LEAST_BUCKETS))
    assert list(rates.snapshot()["buckets"]) == [f"d{number}" for number in range(54, LEAST_BUCKETS)]


def test_buckets_outlive_a_restart() -> None:
    rates = CommandRates(RateSpec(1, 1_000), FAST)
    assert rates.take("a", 5)
    again = CommandRates(RateSpec(1, 1_000), FAST)
    again.restore(codec.unpack(codec.pack(rates.snapshot())))
    assert [again.take("a", now) for now in (5, 1_004, 1_005)] == [False, False, True]
