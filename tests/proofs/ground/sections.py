"""Sections of gateway.yaml that several proofs use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

FAST_COMMANDS: Final = {"per_device": "600/m", "total": "1000/s"}
"""The `commands` section with rates that no proof reaches."""


def tiers(every: Sequence[str], buckets: Sequence[str]) -> list[dict[str, str]]:
    """Return the `windows` section: one tier for each length, with its bucket, kept for 30 days."""
    return [
        {"every": length, "bucket": bucket, "keep": "30d"}
        for length, bucket in zip(every, buckets, strict=True)
    ]
