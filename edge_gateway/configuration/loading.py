"""Load the configuration from environment variables, gateway.yaml and defaults, in this order of precedence.

`EDGE_GATEWAY_` + the key's path in capitals, joined by `_`, overrides a single key:
`EDGE_GATEWAY_MQTT_URL=mqtt://broker:1883`, `EDGE_GATEWAY_SPOOL_COMMIT_INTERVAL=1s`. A list or mapping is one key, in
YAML's short form.

A relative path that is written in the file, or left to its default there, is relative to the file. One from a variable
or the command line, and all of them without a file, are relative to the working directory.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.configuration.secrets import Secret
from edge_gateway.errors import BadInput
from fleet_config.document import Document, Place
from fleet_config.document import Path as KeyPath
from fleet_config.problems import NOWHERE, Problem, ProblemsFound, suggest
from fleet_config.secrecy import names_secret
from fleet_config.validation import validate
from fleet_config.yaml_source import load_yaml, parse_value, parse_yaml

PREFIX = "EDGE_GATEWAY_"
NOT_SETTINGS = frozenset({"EDGE_GATEWAY_CONFIG"})
DEFAULT_FILES = (Path("gateway.yaml"), Path("/etc/edge-gateway/gateway.yaml"))

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Overridden(Document):
    """A document with values from the environment: `variables` holds their names by path."""

    variables: Mapping[KeyPath, str]

    def problem(self, path: KeyPath, message: str, *, key: bool = False) -> Problem:
        for depth in range(len(path), 0, -1):
            if path[:depth] in self.variables:
                return Problem(f"${self.variables[path[:depth]]}", *NOWHERE, message)
        return Document.problem(self, path, message, key=key)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The effective configuration, and the origin of each value."""

    config: GatewayConfig
    document: Overridden
    file: Path | None

    def origin(self, path: KeyPath) -> str:
        """Return `file:line`, `$VARIABLE` or `default` for the value at a path."""
        for depth in range(len(path), 0, -1):
            if path[:depth] in self.document.variables:
                return f"${self.document.variables[path[:depth]]}"
        try:
            self.document.get(path)
        except (KeyError, IndexError, TypeError):
            return "default"
        return f"{self.document.name}:{self.document.where_key(path)[0]}"


def load_config(
    path: Path | None,
    *,
    environment: Mapping[str, str] = os.environ,
    defaults: Mapping[KeyPath, Any] | None = None,
) -> Loaded:
    """Read, override and validate the configuration.

    Args:
        path: the file; None for the first of `DEFAULT_FILES` that exists.
        environment: where overriding variables are looked up.
        defaults: values by path, used where neither file nor environment has one.

    Raises:
        ProblemsFound: all that is wrong, each with its file:line:column or variable.
        BadInput: there is no file, and neither a variable nor a default names a broker.
    """
    file = path or default_file()
    document = load_yaml(file) if file else parse_yaml("version: 1", "gateway.yaml")
    data = copy.deepcopy(document.data)
    problems, variables = _override(data, environment)
    if problems:
        raise ProblemsFound(problems)
    given = {place for place, value in (defaults or {}).items() if _put_default(data, place, value)}
    if file is None and "url" not in (data.get("mqtt") or {}):
        raise BadInput(_no_file())
    root = document.root if isinstance(data, dict) else Place((1, 1))
    overridden = Overridden(data, document.name, root, variables)
    config = validate(GatewayConfig, overridden)
    if file is not None:
        config = _beside(config, file.parent, stay=given | variables.keys())
    return Loaded(config, overridden, file)


def default_file() -> Path | None:
    """Return the first of `DEFAULT_FILES` that exists, or None."""
    return next(filter(_is_there, DEFAULT_FILES), None)


def _no_file() -> str:
    looked = " and ".join(str(one.absolute()) for one in DEFAULT_FILES)
    return (
        f"no gateway.yaml found at {looked}: write one (only mqtt.url is required), name one with"
        f" --config, set {PREFIX}MQTT_URL, or start one that needs none: edge-gateway run --embedded"
    )


def _is_there(file: Path) -> bool:
    """Tell whether a file exists. One without permission counts, so that reading it reports that."""
    try:
        file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _beside(model: M, home: Path, *, stay: AbstractSet[KeyPath], path: KeyPath = ()) -> M:
    """Return the settings with relative paths resolved against `home`, except those at `stay`."""
    changed: dict[str, Any] = {}
    for name in type(model).model_fields:
        value, place = getattr(model, name), (*path, name)
        if isinstance(value, BaseModel):
            changed[name] = _beside(value, home, stay=stay, path=place)
        elif isinstance(value, Path) and place not in stay:
            changed[name] = home / value
        elif isinstance(value, Secret) and place not in stay:
            changed[name] = value.beside(home)
    return model.model_copy(update=changed)


def _override(data: Any, environment: Mapping[str, str]) -> tuple[list[Problem], dict[KeyPath, str]]:
    known = _variables()
    problems: list[Problem] = []
    variables: dict[KeyPath, str] = {}
    for name, text in environment.items():
        if not name.startswith(PREFIX) or name in NOT_SETTINGS or not isinstance(data, dict):
            continue
        if name not in known:
            problems.append(Problem(f"${name}", *NOWHERE, f"no such setting{suggest(name, known)}"))
            continue
        try:
            value = _value_of(known[name], text, f"${name}")
        except ProblemsFound as found:
            problems.extend(found.problems)
            continue
        _put(data, known[name], value)
        variables[known[name]] = name
    return problems, variables


def variables_set(environment: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the path of each setting that a variable overrides, by the variable's name."""
    return {name: path for name, path in _variables().items() if name in environment}


def _variables() -> dict[str, tuple[str, ...]]:
    return {PREFIX + "_".join(path).upper(): path for path in _leaves(GatewayConfig)}


def _value_of(path: KeyPath, text: str, name: str) -> Any:
    """Return a variable's value, parsed as YAML; a secret's reference stays text."""
    if not text:
        return None
    return text if names_secret(path[-1]) else parse_value(text, name).data


def _leaves(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        inner = _model_of(field.annotation)
        if inner is None:
            yield (*path, name)
        else:
            yield from _leaves(inner, (*path, name))


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model of a section, optional or not; None for a plain value, a list or a mapping."""
    optional = get_origin(annotation) in {Union, UnionType}
    for candidate in get_args(annotation) if optional else (annotation,):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _put(data: dict[str, Any], path: KeyPath, value: Any) -> None:
    for part in path[:-1]:
        inner = data.get(str(part))
        if not isinstance(inner, dict):
            inner = data[str(part)] = {}
        data = inner
    data[str(path[-1])] = value


def _put_default(data: Any, path: KeyPath, value: Any) -> bool:
    """Set a value unless the key is there; return whether it was set."""
    for part in path[:-1]:
        if not isinstance(data, dict):
            return False
        data = data.setdefault(str(part), {})
    if not isinstance(data, dict) or path[-1] in data:
        return False
    data[str(path[-1])] = value
    return True


def effective(loaded: Loaded) -> Iterator[tuple[str, str, str]]:
    """Yield (key, value, origin) of every setting, in the model's order; secrets stay references."""
    for path, value in settings_of(loaded.config):
        yield ".".join(map(str, path)), shown(value), loaded.origin(path)


def settings_of(config: GatewayConfig) -> Iterator[tuple[KeyPath, Any]]:
    """Yield path and value of every setting, in the model's order."""
    return _rows(config.model_dump(mode="python"), ())


def _rows(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _rows(inner, (*path, key))
    elif isinstance(value, (list, tuple)) and value and isinstance(value[0], Mapping):
        for position, inner in enumerate(value):
            yield from _rows(inner, (*path, position))
    else:
        yield path, value


def shown(value: Any) -> str:
    """Return a setting's value as text; a secret as the reference it is."""
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(shown, value)) + "]"
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def read_secrets(config: GatewayConfig) -> dict[str, str]:
    """Return every secret that the configuration refers to, by key; BadInput for one that cannot be read."""
    token = config.influx.token if config.influx else None
    wanted = {"mqtt.password": config.mqtt.password, "influx.token": token}
    return {name: secret.read() for name, secret in wanted.items() if secret is not None}
