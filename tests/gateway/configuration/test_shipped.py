"""Directories that ship with the gateway."""

from pathlib import Path

import pytest

from edge_gateway.configuration.shipped import shipped
from edge_gateway.errors import BadInput


@pytest.mark.parametrize("place", ["package/shipped", "."])
def test_a_directory_is_found_in_the_package_or_beside_it(tmp_path: Path, place: str) -> None:
    (tmp_path / place / "broker" / "limits").mkdir(parents=True)
    assert shipped("broker/limits", tmp_path / "package").samefile(tmp_path / place / "broker" / "limits")


def test_the_package_comes_first(tmp_path: Path) -> None:
    for place in ("package/shipped", "."):
        (tmp_path / place / "rules").mkdir(parents=True)
    assert shipped("rules", tmp_path / "package") == tmp_path / "package" / "shipped" / "rules"


def test_a_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"rules is missing in and beside .*: install the package again"):
        shipped("rules", tmp_path)


@pytest.mark.parametrize("name", ["broker/limits", "influx", "rules"])
def test_the_checkout_has_what_the_wheel_has(name: str) -> None:
    assert any(shipped(name).iterdir())
