"""What a bucket still accepts."""

from __future__ import annotations

from edge_gateway.store.settings import FOR_EVER, StoredTier


def test_a_bucket_accepts_points_up_to_its_retention() -> None:
    assert StoredTier(60_000, "telemetry", 1_000).oldest(5_000) == 4_000
    assert StoredTier(60_000, "telemetry", 0).oldest(5_000) == FOR_EVER
