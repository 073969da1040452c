"""The devices, tags and metrics that names in rules are compared with: of the fleet, and of the rules' tests."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from edge_gateway.cli.options import config_if_any
from edge_gateway.errors import BadInput
from edge_gateway.journal.spool import STORE
from edge_gateway.rules.files.cannot_work import KnownDevice, KnownNames
from edge_gateway.rules.files.inventory import read_inventory
from edge_gateway.rules.language.ruleset import DEFAULT_LOOKBACK
from edge_gateway.rules.testing.definitions import find_files, read_tests, test_file_of
from fleet_config.problems import ProblemsFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_gateway.configuration.model import GatewayConfig
    from edge_gateway.rules.language.inventory import ExpectedDevice
    from edge_gateway.rules.testing.definitions import RuleTest

_NOT_DEVICE_TAGS = ("site", "type")


def known_names(place: Path, config: Path | None) -> KnownNames:
    """What is known of the fleet and of the tests beside the rules in `place`.

    Tests that are invalid and a history that cannot be read say nothing. BadInput or ProblemsFound for a `config` that
    is named and wrong.
    """
    tests = list(_tests(place))
    settings = config_if_any(config)
    fleet = [] if settings is None else list(_fleet(settings))
    tested = {test.path.absolute() for test in tests}
    metrics = {metric for _, metric in fleet if metric} | {
        metric for test in tests for _, metric in test.series
    }
    metrics |= {name for test in tests for event in test.spec.events for name in event.values}
    devices = {device.name: device for device, _ in fleet}
    return KnownNames(
        devices=[*devices.values(), *(device for test in tests for device in _devices_of(test))],
        metrics=frozenset(metrics),
        judges=lambda file: bool(fleet) or test_file_of(Path(file)).absolute() in tested,
        lookback=DEFAULT_LOOKBACK if settings is None else settings.rules.lookback,
        measured=[] if settings is None else list(_expected(settings)),
    )


def _tests(place: Path) -> Iterator[RuleTest]:
    for file in find_files([place]):
        with suppress(ProblemsFound):
            yield from read_tests(file)


def _devices_of(test: RuleTest) -> Iterator[KnownDevice]:
    for name, about in test.spec.devices.items():
        tags = {key: value for key, value in about.items() if key not in _NOT_DEVICE_TAGS}
        yield KnownDevice(about.get("site", "site"), name, about.get("type", "unknown"), tags)


def _inventory(settings: GatewayConfig) -> tuple[ExpectedDevice, ...]:
    """The inventory; nothing where it is invalid, which `check` says."""
    try:
        return () if settings.inventory is None else read_inventory(settings.inventory)
    except ProblemsFound:
        return ()


def _expected(settings: GatewayConfig) -> Iterator[tuple[KnownDevice, str]]:
    """Each device of the inventory with each metric that its row names, "" if none."""
    for row in _inventory(settings):
        for metric in row.metrics or ("",):
            yield KnownDevice(row.site, row.id, row.type, row.tags), metric


def _fleet(settings: GatewayConfig) -> Iterator[tuple[KnownDevice, str]]:
    """Each device with each of its metrics, those of the inventory first."""
    yield from _expected(settings)
    if not (settings.spool.path / STORE).exists():
        return
    from edge_gateway.store.history import History
    from edge_gateway.store.schema import READ_ERRORS

    every = [window.every for window in settings.windows]
    with suppress(BadInput, *READ_ERRORS), History.open(settings.spool.path, every) as history:
        for one in history.series():
            yield KnownDevice(one["site"], one["device"], one["type"], one["tags"]), one["metric"]
