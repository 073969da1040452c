"""What the rules need to know of the fleet; `edge_gateway.fleet.registry.Registry` is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_gateway.frame import IntColumn


class UnitInfo(Protocol):
    @property
    def unit(self) -> str | None: ...


class Strings(Protocol):
    def code(self, text: str) -> int: ...


class RegistryView(Protocol):
    """Devices, metrics and series by number, as `fleet.registry` documents them."""

    version: int
    device_name: list[str]
    device_site: list[str]

    @property
    def strings(self) -> Strings: ...
    @property
    def devices(self) -> int: ...
    @property
    def series_metric(self) -> IntColumn: ...
    def changed_devices(self, since: int) -> IntColumn: ...
    def is_live(self, device: int) -> bool: ...
    def type(self, device: int) -> str: ...
    def tags(self, device: int) -> Mapping[str, str]: ...
    def units(self, device: int) -> Mapping[str, UnitInfo]: ...
    def metric(self, name: str) -> int: ...
    def series(self, device: int, metric: int) -> int: ...
