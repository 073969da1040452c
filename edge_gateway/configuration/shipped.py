"""Directories that ship with the gateway: inside the package in a wheel, at the root of a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edge_gateway.errors import BadInput

PACKAGE: Final = Path(__file__).parents[1]


def shipped(name: str, package: Path = PACKAGE) -> Path:
    """Return the directory that is `name` in a checkout, such as `broker/limits`; BadInput where it is missing."""
    for root in (package / "shipped", package.parent):
        if (root / name).is_dir():
            return root / name
    raise BadInput(f"{name} is missing in and beside {package}: install the package again")
