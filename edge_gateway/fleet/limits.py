"""Bounds on what devices can make the gateway remember, and the reasons for refusing."""

from dataclasses import dataclass
from enum import StrEnum


class Refusal(StrEnum):
    """Why a device or a message is refused."""

    TOPIC = "bad_topic"
    WRONG_SITE = "wrong_site"
    FOREIGN_SITE = "foreign_site"
    DEVICES = "too_many_devices"


@dataclass(frozen=True, slots=True)
class RegistryLimits:
    """Caps on what all devices together, and each device, can make the gateway remember.

    A series is dropped after `unused_for` ms without a value, and after `pressed_for` ms while space is short.
    """

    devices: int = 20_000
    series: int = 200_000
    strings: int = 50_000
    device_series: int = 1_000
    device_strings: int = 500
    unused_for: int = 30 * 86_400_000
    pressed_for: int = 3_600_000
