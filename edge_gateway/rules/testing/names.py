"""Names in a test that no rule has: misspelt, they would make it pass without testing anything."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from edge_gateway.rules.language.matching import RuleMatcher
from edge_gateway.rules.testing.definitions import unknown
from fleet_config.match import PROPERTIES, UNKNOWN
from fleet_config.problems import suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from edge_gateway.rules.language.ruleset import Rule
    from edge_gateway.rules.testing.definitions import ExpectSpec, RuleTest
    from fleet_config.document import Path as Where
    from fleet_config.problems import Problem

_NEAR = 0.8
"""Two values as alike as this (1: equal) are one of them misspelt, rather than two names."""


def check_names(test: RuleTest, rules: Iterable[Rule]) -> list[Problem]:
    """Errors for alerts, levels, labels, commands, metrics and devices that none of the test's rules has."""
    every = tuple(rules)
    found = [*_of_devices(test, every), *_of_readings(test, every), *_of_expectations(test, every)]
    document, place = test.place.source.document, test.place.path
    return [document.problem((*place, *path), message, key=key) for path, message, key in found]


_Found = tuple["Where", str, bool]
"""Path in the test, message, whether it is about the key."""


def _of_devices(test: RuleTest, rules: Sequence[Rule]) -> Iterator[_Found]:
    """Devices that no rule matches, if a value looks misspelt or no other device makes it a test."""
    matcher = RuleMatcher(rules)
    unmatched = {
        name: about for name, about in test.spec.devices.items() if not _matches(matcher, name, about)
    }
    for name, about in unmatched.items():
        hint = _nearest(about, rules)
        if hint or len(unmatched) == len(test.spec.devices):
            yield ("devices", name), f"no rule matches device '{name}'{hint}", True


def _matches(matcher: RuleMatcher, device: str, about: Mapping[str, str]) -> bool:
    return bool(matcher.variants(about.get("site", "site"), device, about.get("type", "unknown"), about))


def _nearest(about: Mapping[str, str], rules: Iterable[Rule]) -> str:
    """`; did you mean type 'freezer'?` for a key or value that nearly is one of a match; nothing if none is."""
    matches = [match for rule in rules for match in rule.match]
    keys = {*PROPERTIES, *(key for match in matches for key in match)}
    for key, value in about.items():
        if key not in keys and (near := _most_like(key, keys)):
            return f"; did you mean '{near}' instead of '{key}'?"
        globs = {glob for match in matches for glob in match.get(key, ())}
        if value not in globs and (near := _most_like(value, globs)):
            return f"; did you mean {key} '{near}'?"
    return ""


def _most_like(word: str, names: Iterable[str]) -> str:
    folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=_NEAR)
    return folded[near[0]] if near else ""


def _of_readings(test: RuleTest, rules: Sequence[Rule]) -> Iterator[_Found]:
    read = {name for rule in rules for name, _ in rule.metrics}
    read |= {rule.no_data.metric for rule in rules if rule.no_data}
    read |= {name for rule in rules for name in rule.silences}
    records = {rule.name: RuleMatcher((rule,)) for rule in rules if rule.record}
    for path, device, metric in _sent(test):
        about = test.spec.devices.get(device)
        if about is not None and metric in records and _matches(records[metric], device, about):
            told = f"device '{device}' measures '{metric}', which is a record"
            yield path, f"{told}; give it what the record reads, or rename the record", True
        elif metric not in read:
            nearest = suggest(metric, read)
            reads = f"hey read {_listed(sorted(read)) or 'none'}"
            offer = f"{nearest} T{reads}" if nearest else f"; t{reads}"
            yield path, f"no rule reads the metric '{metric}'{offer}", True


def _sent(test: RuleTest) -> Iterator[tuple[Where, str, str]]:
    """Where a test lets a device send a metric: place, device, metric."""
    for name in test.spec.input:
        device, _, metric = name.partition(".")
        yield ("input", name), device, metric
    for number, event in enumerate(test.spec.events):
        for metric in event.values:
            yield ("events", number, "values", metric), test.device_of(event), metric


def _of_expectations(test: RuleTest, rules: Sequence[Rule]) -> Iterator[_Found]:
    alerts: dict[str, list[Rule]] = {}
    for rule in rules:
        if not rule.record:
            alerts.setdefault(rule.name, []).append(rule)
    known = {
        "alert": set(alerts),
        "command": {
            word for rule in rules for command in rule.commands for word in (command.id, command.name)
        },
        "metric": {metric for _, metric in test.series} | {rule.name for rule in rules if rule.record},
    }
    for number, expected in enumerate(test.spec.expect):
        path: Where = ("expect", number)
        for kind, names in known.items():
            name = getattr(expected, kind)
            if name is not None and name not in names:
                yield (*path, kind), unknown(kind, name, names), False
        if expected.alert in alerts:
            yield from _of_alert(expected, alerts[expected.alert], path)
            yield from _of_its_device(test, expected, alerts[expected.alert], path)
            yield from _of_its_group(test, expected, alerts[expected.alert][0], path)


def _of_alert(expected: ExpectSpec, versions: Sequence[Rule], path: Where) -> Iterator[_Found]:
    """`versions`: the alert before and after each reload."""
    name = versions[0].name
    levels = [level.level for rule in versions for level in rule.levels]
    levels += [rule.no_data.level for rule in versions if rule.no_data]
    if expected.level is not None and expected.level not in levels:
        yield (*path, "level"), f"{name} has no level '{expected.level}', only {_listed(levels)}", False
    for key in ("labels", "annotations"):
        texts = [text for rule in versions for text in getattr(rule, key)]
        texts += [text for rule in versions for text in rule.by if key == "labels"]
        for text in getattr(expected, key):
            if text not in texts:
                fault = f"{key}: {name} has no '{text}'{suggest(text, texts)}"
                yield (*path, key, text), fault, True


def _of_its_device(
    test: RuleTest, expected: ExpectSpec, versions: Sequence[Rule], path: Where
) -> Iterator[_Found]:
    """An alert that is to become active on a device that it does not match."""
    device = test.device_of(expected)
    about = test.spec.devices.get(device)
    active = expected.state in ("pending", "firing", "resolved") or expected.count
    active = active and not (expected.group or versions[0].by)
    if about is not None and active and not _matches(RuleMatcher(versions), device, about):
        fault = f"{versions[0].name} does not match device '{device}'{_nearest(about, versions)}"
        yield (*path, "alert"), fault, False


def _of_its_group(test: RuleTest, expected: ExpectSpec, rule: Rule, path: Where) -> Iterator[_Found]:
    """An alert with `by` whose group is missing or nowhere in the test, and a group of another."""
    if expected.group is None:
        if rule.by:
            told = f"{rule.name} is of groups: write group: {{{', '.join(f'{key}: …' for key in rule.by)}}}"
            yield (*path, "alert"), told, False
        return
    if set(expected.group) != set(rule.by):
        told = f"{rule.name} has 'by: [{_listed(rule.by)}]'" if rule.by else f"{rule.name} is of devices"
        fit = "these keys" if rule.by else "'device'"
        yield (*path, "group"), f"group: {told}; write {fit}", True
        return
    usual = {"site": "site", "type": UNKNOWN}
    for key, value in expected.group.items():
        values = {about.get(key, usual.get(key, UNKNOWN)) for about in test.spec.devices.values()}
        if value not in values:
            yield (*path, "group", key), unknown(key, value, values), False


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))
