"""What rules need of the fleet; `edge_gateway.fleet.registry.Registry` provides it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_gateway.columns.frame import IntColumn


class Strings(Protocol):
    def code(self, text: str) -> int: ...
    def text(self, code: int) -> str: ...


class Subjects(Protocol):
    """What alerts are about, by number: devices, or groups of devices."""

    device_name: list[str]
    device_site: list[str]

    @property
    def devices(self) -> int: ...
    def type(self, device: int) -> str: ...
    def tags(self, device: int) -> Mapping[str, str]: ...


class RegistryView(Subjects, Protocol):
    """Devices, metrics and series by number; see `fleet.registry`."""

    version: int

    @property
    def strings(self) -> Strings: ...
    @property
    def series_metric(self) -> IntColumn: ...
    def changed_devices(self, since: int) -> IntColumn: ...
    def is_live(self, device: int) -> bool: ...
    def units(self, device: int) -> Mapping[str, str]: ...
    def metric(self, name: str) -> int: ...
    @property
    def series_epoch(self) -> int: ...
    def derived(self, device: int, metric: int) -> int: ...
