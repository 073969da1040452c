"""The registry is what the rules expect of it."""

from __future__ import annotations

from edge_gateway.fleet.registry import Registry
from edge_gateway.rules.columns.registry_view import RegistryView, Strings


def test_the_registry_provides_the_view() -> None:
    registry = Registry()
    view: RegistryView = registry
    strings: Strings = view.strings
    assert view.devices == 0
    assert strings.code("a") == registry.strings.code("a")
