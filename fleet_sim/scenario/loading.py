"""Loading scenario files: what runs, for how long, with which faults, and what is expected of it.

How the runtime uses it (times in ms; phases and faults count from the run's start)::

    scenario = load_scenario("factory" or "path/to.yaml", overrides=["fleet.meter.count=500"], env=os.environ)
    scenario = scaled(scenario, sensors=5000, duration_ms=60_000, interval_ms=None)
    scenario.broker.url / .keepalive / .session_expiry / .username / .password / .qos
    scenario.fleet: dict[str, Group]; scenario.seed; scenario.name; scenario.expect: dict[str, Expectation]
    scenario.timeline() -> tuple[PhaseWindow, ...]       # (name, from_ms, until_ms, connect: RateSpec | None)
    scenario.duration_ms                                  # None: until interrupted
    plans = plan_devices(scenario)                        # fleet_sim.scenario.planning: list[DevicePlan]
    faults = plan_faults(scenario, plans)                 # the same: list[PlannedFault], with `do`
"""

from __future__ import annotations

import copy
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleet_config.problems import NOWHERE, Problem, ProblemsFound, suggest
from fleet_config.scalars import AmbiguousScalarError, read_plain
from fleet_config.secrecy import UNSEEN, names_secret, redacted
from fleet_config.validation import validate
from fleet_config.yaml_source import load_yaml, parse_value
from fleet_sim.scenario.checks import check, unsupported
from fleet_sim.scenario.grammar import Broker, Group, Phase, Scenario
from fleet_sim.scenario.profiles import path_of, profile_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from fleet_config.document import Document, Place

__all__ = ["Scenario", "load_scenario", "scaled", "scenario_schema"]

_VARIABLE = re.compile(r"\$(\$)?\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


def load_scenario(
    source: str, *, overrides: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> Scenario:
    """Load a scenario from a file or a profile; ProblemsFound names everything that is wrong with it.

    Args:
        source: the path of a YAML file, or a name of `profile_names()`.
        overrides: `a.b.c=value` each, the value as YAML (`fleet.freezer.count=500`).
        env: values of `${NAME}` and `${NAME:-default}`; by default the process environment.
    """
    scenario = read_scenario(_source(source), overrides=overrides, env=os.environ if env is None else env)
    named = {override.partition("=")[0] for override in overrides}
    return scenario.model_copy(update={"broker": _relative_to(scenario.broker, Path(source).parent, named)})


def _relative_to(broker: Broker, home: Path, named: AbstractSet[str]) -> Broker:
    """Make paths relative to the scenario file's directory `home`, except those given by `--set`."""
    paths = {
        key: str(home / value)
        for key in ("ca", "cert", "key")
        if (value := getattr(broker, key)) is not None and named.isdisjoint({"broker", f"broker.{key}"})
    }
    return broker.model_copy(update=paths)


def read_scenario(document: Document, *, overrides: Sequence[str], env: Mapping[str, str]) -> Scenario:
    """Load a scenario from a parsed document, as load_scenario does."""
    problems: list[Problem] = []
    document = _with_overrides(document, overrides)
    problems += unsupported(document)
    problems += _interpolate(document, env)
    try:
        scenario = validate(Scenario, document)
    except ProblemsFound as found:
        raise ProblemsFound([*problems, *found.problems]) from None
    problems += check(scenario, document)
    if problems:
        raise ProblemsFound(problems)
    return scenario


def scaled(
    scenario: Scenario,
    sensors: int | None = None,
    duration_ms: int | None = None,
    interval_ms: int | None = None,
) -> Scenario:
    """Return the scenario with another number of sensors, another length of its last phase, another interval.

    Sensors are split over the groups in proportion to their counts, by largest remainder.
    """
    fleet = dict(scenario.fleet)
    if sensors is not None:
        counts = _shares(sensors, [group.count for group in fleet.values()])
        fleet = {name: _changed(fleet[name], count=count) for name, count in zip(fleet, counts, strict=True)}
    if interval_ms is not None:
        fleet = {name: _with_interval(group, interval_ms) for name, group in fleet.items()}
    phases = scenario.phases
    if duration_ms is not None:
        last = phases[-1] if phases else Phase.model_validate({"name": "run"})
        phases = (*phases[:-1], last.model_copy(update={"for_": duration_ms}))
    return scenario.model_copy(update={"fleet": fleet, "phases": phases})


def scenario_schema() -> dict[str, Any]:
    """Return the JSON Schema of scenario files, for editors."""
    schema = Scenario.model_json_schema(by_alias=True, mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fleet-sim scenario",
        **schema,
    }


def _changed(group: Group, **changes: Any) -> Group:
    return group.model_copy(update=changes)


def _with_interval(group: Group, interval_ms: int) -> Group:
    return _changed(group, interval=group.interval.model_copy(update={"every": interval_ms}))


def _shares(total: int, weights: Sequence[int]) -> list[int]:
    whole = sum(weights) or len(weights)
    weights = weights if sum(weights) else [1] * len(weights)
    counts = [total * weight // whole for weight in weights]
    by_rest = sorted(range(len(weights)), key=lambda each: (-(total * weights[each] % whole), each))
    for each in by_rest[: total - sum(counts)]:
        counts[each] += 1
    return counts


def _source(source: str) -> Document:
    profile = path_of(source)
    if re.fullmatch(r"[A-Za-z0-9_-]+", source) and not Path(source).exists():
        if profile.exists():
            return load_yaml(profile, name=source)
        names = profile_names()
        message = f"no such profile; one of {', '.join(names)}, or the path of a YAML file"
        raise ProblemsFound([Problem(source, *NOWHERE, message + suggest(source, names))])
    return load_yaml(Path(source))


def _with_overrides(document: Document, overrides: Sequence[str]) -> Document:
    if not overrides:
        return document
    changed = copy.deepcopy(document)
    for override in overrides:
        _override(changed, override)
    return changed


def _override(document: Document, override: str) -> None:
    name, equals, text = override.partition("=")
    keys = name.strip().split(".")
    secret = names_secret(keys[-1])
    origin = f"--set {name}={UNSEEN}" if secret else f"--set {redacted(override)}"
    if not equals or not all(keys):
        raise ProblemsFound([Problem(origin, *NOWHERE, "write --set path.to.key=value")])
    # A secret is text, whatever it looks like.
    value = parse_value(json.dumps(text) if secret else text or "null", origin)
    data, place = document.data, document.root
    for depth, key in enumerate(keys[:-1]):
        part = _part(data, key)
        if part is None or not isinstance(data[part], (dict, list)):
            where = ".".join(keys[:depth]) or "the scenario"
            names = list(data) if isinstance(data, dict) else [str(each) for each in range(len(data))]
            raise ProblemsFound(
                [Problem(origin, *NOWHERE, f"{where} has no section '{key}'{suggest(key, names)}")]
            )
        data, place = data[part], place.children[part]
    _put(data, place, keys[-1], value, origin)


def _part(data: Any, key: str) -> str | int | None:
    if isinstance(data, dict):
        return key if key in data else None
    return int(key) if key.isdecimal() and int(key) < len(data) else None


def _put(data: Any, place: Place, key: str, value: Document, origin: str) -> None:
    part = _part(data, key)
    if part is None and not isinstance(data, dict):
        raise ProblemsFound([Problem(origin, *NOWHERE, f"the list has {len(data)} entries, counted from 0")])
    last = key if part is None else part
    data[last] = value.data
    place.children[last] = _from(origin, value.root)
    if isinstance(last, str):
        place.keys[last] = NOWHERE


def _from(origin: str, place: Place) -> Place:
    place.origin = origin
    for child in place.children.values():
        _from(origin, child)
    return place


def _interpolate(document: Document, env: Mapping[str, str]) -> list[Problem]:
    """Replace variables in place by their values from the environment; return a problem for each missing one."""
    problems: list[Problem] = []

    def walk(value: Any, path: tuple[str | int, ...], place: Place) -> Any:
        if isinstance(value, dict):
            for key, inner in value.items():
                value[key] = walk(inner, (*path, key), place.children[key])
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                value[index] = walk(inner, (*path, index), place.children[index])
        elif isinstance(value, str) and "${" in value:
            try:
                plain = place.plain and not (path and names_secret(path[-1]))
                return _filled(value, env, plain=plain)
            except ValueError as error:
                problems.append(document.problem(path, str(error)))
        return value

    walk(document.data, (), document.root)
    return problems


def _filled(text: str, env: Mapping[str, str], *, plain: bool) -> Any:
    """Return the text with its variables replaced; an unquoted single variable is read as a plain value."""

    def value_of(found: re.Match[str]) -> str:
        escaped, name, default = found.groups()
        if escaped:
            return found[0][1:]
        value = env.get(name) or default
        if value is None:
            raise ValueError(f"the variable {name} is not set; set it, or write ${{{name}:-default}}")
        return value

    filled = _VARIABLE.sub(value_of, text)
    if not plain or _VARIABLE.fullmatch(text) is None:
        return filled
    try:
        return read_plain(filled)
    except AmbiguousScalarError:
        return filled
