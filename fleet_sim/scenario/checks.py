"""Checks beyond the grammar of a scenario: references between its parts, and unsupported keys."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from fleet_config.problems import suggest
from fleet_sim.faults.sensor import SensorFault
from fleet_sim.signals.models import Pump, States
from fleet_wire.topics import is_level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet_config.document import Document, Path
    from fleet_config.problems import Problem
    from fleet_sim.scenario.grammar import CommandSpec, Group, Scenario

_GROUP_KEYS: Final = {
    "topic": "custom topics are not supported in this version; devices use fleet/v1",
    "payload": "custom payloads are not supported in this version; devices use fleet/v1",
    "encoding": "other encodings are not supported in this version; devices use fleet/v1",
    "username": "not supported here in this version; use broker.username, which may contain {id}",
    "credentials": "not supported in this version; use broker.username and broker.password",
}


def unsupported(document: Document) -> list[Problem]:
    """Remove keys that this version refuses by name from the data; return a problem for each."""
    if not isinstance(document.data, dict):
        return []
    problems = list(_literal_password(document))
    fleet = document.data.get("fleet")
    for name, group in fleet.items() if isinstance(fleet, dict) else ():
        for key, text in _GROUP_KEYS.items() if isinstance(group, dict) else ():
            if key in group:
                value = group.pop(key)
                if (key, value) != ("encoding", "fleet-v1"):
                    problems.append(document.problem(("fleet", name, key), text, key=True))
    return problems


def _literal_password(document: Document) -> Iterator[Problem]:
    broker = document.data.get("broker")
    password = broker.get("password") if isinstance(broker, dict) else None
    if password is not None and not str(password).startswith("${"):
        text = "password: a secret does not belong in a file; write ${MQTT_PASSWORD}"
        yield document.problem(("broker", "password"), text)


def check(scenario: Scenario, document: Document) -> list[Problem]:
    """Return every dangling reference and every contradiction, at its place."""
    problems = [*_phases(scenario, document), *_faults(scenario, document)]
    if not any(group.count for group in scenario.fleet.values()):
        problems.append(
            document.problem(("fleet",), "fleet: no group has a device; give one a count above 0")
        )
    for name, group in scenario.fleet.items():
        problems += _metrics(name, group, document)
        for command, spec in group.commands.items():
            problems += _command(("fleet", name, "commands", command), spec, group, document)
    return problems + list(_ids(scenario, document))


def _phases(scenario: Scenario, document: Document) -> Iterator[Problem]:
    counts = Counter(phase.name for phase in scenario.phases)
    for index, phase in enumerate(scenario.phases):
        if counts[phase.name] > 1:
            yield document.problem(("phases", index, "name"), f"name: two phases are named '{phase.name}'")
        if phase.for_ is None and index < len(scenario.phases) - 1:
            yield document.problem(
                ("phases", index), "only the last phase may have no end; give the others one, such as for: 1m"
            )
        for fault in phase.do.faults():
            if fault.phase is not None:
                yield document.problem(
                    ("phases", index, "do", fault.kind, "phase"),
                    "phase: a fault in `do` happens in the phase it is in; remove this key",
                    key=True,
                )


def _faults(scenario: Scenario, document: Document) -> Iterator[Problem]:
    phases = [phase.name for phase in scenario.phases]
    every = {metric: spec for group in scenario.fleet.values() for metric, spec in group.metrics.items()}
    for index, fault in enumerate(scenario.faults):
        if fault.phase is not None and fault.phase not in phases:
            text = f"phase: there is no phase '{fault.phase}'{suggest(fault.phase, phases)}"
            yield document.problem(("faults", index, "phase"), text)
        if not isinstance(fault, SensorFault):
            continue
        path = ("faults", index, "metric")
        if fault.metric not in every:
            text = f"metric: no group has a metric '{fault.metric}'{suggest(fault.metric, every)}"
            yield document.problem(path, text)
        elif why := fault.misfit(every[fault.metric]):
            yield document.problem(path, f"metric: {why}")


def _metrics(name: str, group: Group, document: Document) -> Iterator[Problem]:
    for metric, spec in group.metrics.items():
        path: Path = ("fleet", name, "metrics", metric)
        for source in spec.sources:
            if source not in group.metrics:
                text = f"{metric}: the group has no metric '{source}'{suggest(source, group.metrics)}"
                yield document.problem(path, text, key=True)
            elif _leads_to(group, source, metric, set()):
                yield document.problem(path, f"{metric} is computed from itself", key=True)
        if spec.excursions is not None and (spec.warning is None or spec.critical is None):
            text = "excursions: they go to the thresholds, so give warning: and critical: too"
            yield document.problem((*path, "excursions"), text, key=True)
        if spec.min is not None and spec.max is not None and spec.min >= spec.max:
            yield document.problem((*path, "min"), f"min: {spec.min:g} is not below max {spec.max:g}")
        if isinstance(spec, States):
            yield from _states(path, spec, document)
        if isinstance(spec, Pump):
            yield from _running(path, spec, group, document)
    for reserved in {"site", "device", "type"} & set(group.tags):
        text = f"'{reserved}' cannot be a tag; it is a key of the group"
        yield document.problem(("fleet", name, "tags", reserved), text, key=True)


def _leads_to(group: Group, source: str, metric: str, seen: set[str]) -> bool:
    if source == metric:
        return True
    seen.add(source)
    inner = group.metrics[source].sources if source in group.metrics else ()
    return any(each not in seen and _leads_to(group, each, metric, seen) for each in inner)


def _states(path: Path, spec: States, document: Document) -> Iterator[Problem]:
    named = [(("initial",), spec.initial)] if spec.initial is not None else []
    named += [(("then", state), state) for state in spec.then]  # type: ignore[misc]
    named += [(("then", state, word), word) for state, after in spec.then.items() for word in after]  # type: ignore[misc]
    for where, word in named:
        if word not in spec.stay:
            text = f"there is no state '{word}'{suggest(word, spec.stay)}"
            yield document.problem((*path, *where), text, key=len(where) > 1)


def _running(path: Path, spec: Pump, group: Group, document: Document) -> Iterator[Problem]:
    for metric, word in spec.running.items():
        states = group.metrics.get(metric)
        if isinstance(states, States) and word not in states.stay:
            text = f"'{metric}' has no state '{word}'{suggest(word, states.stay)}"
            yield document.problem((*path, "while", metric), text)
        elif states is not None and not isinstance(states, States):
            yield document.problem((*path, "while", metric), f"'{metric}' is not of model states", key=True)


def _command(path: Path, spec: CommandSpec, group: Group, document: Document) -> Iterator[Problem]:
    every = [f"{metric}.{setting}" for metric, each in group.metrics.items() for setting in each.movable]
    for target in spec.set:
        if target not in every:
            allowed = f"one of {', '.join(every)}" if every else "no metric of this group can be set"
            text = f"'{target}' cannot be set; {allowed}{suggest(target, every)}"
            yield document.problem((*path, "set", target), text, key=True)


def _ids(scenario: Scenario, document: Document) -> Iterator[Problem]:
    owner: dict[str, str] = {}
    for name, group in scenario.fleet.items():
        ids = group.device_ids(name)
        bad = next((each for each in ids if not is_level(each)), None)
        twice = next((each for each in ids if each in owner), None)
        if bad is not None:
            text = f"id: '{bad}' is not a device id; use 1 to 64 of A-Z a-z 0-9 _ -"
            yield document.problem(("fleet", name, "id"), text)
        if twice is not None:
            text = f"id: '{twice}' is also a device of '{owner[twice]}'; ids must be unique in the fleet"
            yield document.problem(("fleet", name, "id"), text)
        owner |= dict.fromkeys(ids, name)
