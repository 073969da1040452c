"""The settings a gateway runs with, for comparison with those in its file, which are read only at a start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_gateway.configuration.loading import settings_of, shown, variables_set
from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.configuration.secrets import Secret


def in_force(config: GatewayConfig, environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return `values`, the text of each setting by its key, and `variables`, the keys that the environment sets."""
    values = {".".join(map(str, path)): _comparable(value) for path, value in settings_of(config)}
    return {
        "values": values,
        "variables": [".".join(path) for path in variables_set(environment).values()],
    }


def changed(running: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Return the keys whose value differs between two `in_force`, a section instead of its keys if it came or went.

    A key that a variable sets in one of the two environments is left out: the gateway's is not that of a shell.
    """
    theirs, mine = running["values"], here["values"]
    variables = {*running["variables"], *here["variables"]}
    keys = [key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)]
    sections = set(keys)
    return sorted(key for key in keys if not (_above(key) & sections or ({key} | _above(key)) & variables))


def _above(key: str) -> set[str]:
    """Return the keys of the sections that a setting is in."""
    parts = key.split(".")
    return {".".join(parts[:depth]) for depth in range(1, len(parts))}


def _comparable(value: Any) -> str:
    """Return the text of a value; that of a path does not depend on the directory it was named from."""
    if isinstance(value, Path):
        return os.path.realpath(value)
    if isinstance(value, Secret) and value.kind == "file":
        return f"file:{os.path.realpath(value.place)}"
    return shown(value)
