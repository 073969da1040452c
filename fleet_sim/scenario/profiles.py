"""The scenarios that ship with the simulator."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from fleet_config.yaml_source import load_yaml

__all__ = ["Profile", "path_of", "profile_names", "profiles"]

_DIRECTORY = Path(__file__).parents[1] / "profiles"


class Profile(NamedTuple):
    """A profile as a list shows it."""

    name: str
    description: str
    groups: list[str]


def profile_names() -> list[str]:
    """Return the names of all profiles, in alphabetical order."""
    return sorted(path.stem for path in _DIRECTORY.glob("*.yaml"))


def path_of(name: str) -> Path:
    """Return the file of a profile, whether or not there is one."""
    return _DIRECTORY / f"{name}.yaml"


def profiles() -> list[Profile]:
    """Return all profiles. Only their YAML is read: nothing is validated, so a list of them is quick."""
    documents = ((name, load_yaml(path_of(name)).data) for name in profile_names())
    return [Profile(name, data.get("description", ""), list(data["fleet"])) for name, data in documents]
