"""Devices that are expected, whether or not they were ever heard: rows of the inventory."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ExpectedDevice:
    """One row: what the device's birth would say, until it says it itself."""

    id: str
    site: str
    type: str = "unknown"
    tags: dict[str, str] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
