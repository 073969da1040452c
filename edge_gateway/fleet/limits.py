"""Bounds on what devices can make the gateway remember, and why something is not taken in."""

from dataclasses import dataclass
from enum import StrEnum


class Refusal(StrEnum):
    """Why a device or a message is not taken in."""

    TOPIC = "bad_topic"
    WRONG_SITE = "wrong_site"
    FOREIGN_SITE = "foreign_site"
    DEVICES = "too_many_devices"


@dataclass(frozen=True, slots=True)
class RegistryLimits:
    """Caps on what devices can make the gateway remember, all together and each; times in ms.

    A series is given up when it had no value for `unused_for`, and when room is short for `pressed_for`.
    """

    devices: int = 20_000
    series: int = 200_000
    strings: int = 50_000
    device_series: int = 1_000
    device_strings: int = 500
    unused_for: int = 30 * 86_400_000
    pressed_for: int = 3_600_000
