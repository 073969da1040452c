"""Compare what a test expects with what the rules did."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edge_gateway.rules.testing.bench import START

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_gateway.records.alerts import Transition
    from edge_gateway.rules.testing.bench import Bench
    from edge_gateway.rules.testing.definitions import ExpectSpec

_SHOWN_TRANSITIONS = 3


def failure(bench: Bench, expected: ExpectSpec, device: str) -> str | None:
    """What differs from an expectation about a device; None if it is met."""
    if expected.alert is not None:
        return _alert_failure(bench, expected, expected.alert, device)
    if expected.command is not None:
        return _command_failure(bench, expected, expected.command, device)
    value = bench.values.get((device, expected.metric or ""))
    if value is None:
        return f"{expected.metric} of {device} has no value at {_clock(expected)}, expected {expected.value}"
    if not math.isclose(value, expected.value or 0.0, rel_tol=1e-9, abs_tol=1e-12):
        return f"{expected.metric} of {device} is {value} at {_clock(expected)}, expected {expected.value}"
    return None


def _alert_failure(bench: Bench, expected: ExpectSpec, alert: str, device: str) -> str | None:
    what = f"{alert} of {device}"
    past = _of(bench.transitions, alert, device)
    fired = sum(map(_is_onset, past))
    if expected.count is not None and fired != expected.count:
        return f"{what} fired {_times(fired)} by {_clock(expected)}, expected {_times(expected.count)}"
    active = _of(bench.evaluator.active_alerts(), alert, device)
    reported = active or past
    shown = reported[-1] if reported else None
    state = shown.state if shown is not None else "inactive"
    what = f"{what} at {_clock(expected)}"
    if expected.state is not None and not _is_state(state, expected.state):
        return f"{what} is {state}{_history(past)}, expected {expected.state}"
    if expected.level is not None and (shown is None or shown.level != expected.level):
        found = f"is {shown.level}" if shown else "has no level"
        return f"{what} {found}{_history(past)}, expected {expected.level}"
    return None if shown is None else _text_failure(what, shown, expected)


def _of(transitions: Sequence[Transition], alert: str, device: str) -> list[Transition]:
    return [each for each in transitions if (each.rule, each.subject) == (alert, device)]


def _is_onset(transition: Transition) -> bool:
    return transition.event == "firing"


def _is_state(state: str, expected: str) -> bool:
    return state == expected or (expected == "inactive" and state == "resolved")


def _text_failure(what: str, shown: Transition, expected: ExpectSpec) -> str | None:
    for key, texts, given in (
        ("label", expected.labels, shown.labels),
        ("annotation", expected.annotations, shown.annotations),
    ):
        for name, text in texts.items():
            if name not in given:
                return f"{what} has no {key} '{name}', expected '{text}'"
            if given[name] != text:
                return f"{what}: {key} '{name}' is '{given[name]}', expected '{text}'"
    return None


def _history(past: list[Transition]) -> str:
    steps = [
        f"{each.state} {each.level} at {(each.at - START) / 1000:g}s" for each in past[-_SHOWN_TRANSITIONS:]
    ]
    return f" ({', '.join(steps)})" if steps else ""


def _command_failure(bench: Bench, expected: ExpectSpec, command: str, device: str) -> str | None:
    sent = sum(
        command in (intent.id, intent.name)
        for each in bench.transitions
        if each.subject == device
        for intent in each.commands
    )
    if sent == expected.count or (expected.count is None and sent):
        return None
    wanted = "at least once" if expected.count is None else _times(expected.count)
    return f"{command} was sent to {device} {_times(sent)} by {_clock(expected)}, expected {wanted}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _clock(expected: ExpectSpec) -> str:
    return f"{expected.at / 1000:g}s"
