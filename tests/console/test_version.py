"""Both programs say one version."""

from importlib.metadata import PackageNotFoundError

import pytest

from fleet_console import version


def test_the_installed_version_or_that_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "version", lambda name: f"{name} 1.2.3")
    assert version.program_version() == "edge-fleet 1.2.3"

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(version, "version", missing)
    assert version.program_version() == "unreleased"
