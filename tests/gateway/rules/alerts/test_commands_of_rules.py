"""Which transitions give commands, which do not, and what a command carries."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_gateway.rules.language.ruleset import Level, NoData
from tests.gateway.rules.alerts.hot import HOT, TWO, command
from tests.gateway.rules.fleet import T0, Stage


def test_cooldown_is_per_level_and_an_escalation_does_not_wait() -> None:
    stage = Stage(replace(TWO, commands=(command(),)))
    values = [15, 25, 15, 25, 5, 15, 15, 5, 15]
    given = [len(each.commands) for second, t in enumerate(values) for each in stage.read(second * 10, t=t)]
    #        firing, escalated, de, escalated again (hot), resolved, firing (hot), resolved, firing after 80 s
    assert given == [1, 1, 0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("on", "given"),
    [
        ("firing", [1, 0, 0, 0]),
        ("escalated", [0, 1, 0, 0]),
        ("deescalated", [0, 0, 1, 0]),
        ("resolved", [0, 0, 0, 1]),
        ("no_data", [0, 0, 0, 0]),
    ],
)
def test_commands_on(on: str, given: list[int]) -> None:
    stage = Stage(replace(TWO, commands=(command(on=(on,), cooldown_ms=0),)))
    transitions = [each for second, t in enumerate((15, 25, 15, 5)) for each in stage.read(second, t=t)]
    assert [len(each.commands) for each in transitions] == given


def test_an_alert_that_silence_raises_is_firing_and_silent() -> None:
    rule = replace(HOT, no_data=NoData(10_000, "t", "alerting", "critical"))
    stage = Stage(replace(rule, commands=(command(), command(id="siren", name="siren", on=("no_data",)))))
    stage.read(0, t=1)
    (transitions,) = stage.tick(10)
    assert [intent.name for intent in transitions.commands] == ["fan", "siren"]
    assert (transitions.event, transitions.level, transitions.value, transitions.limit, transitions.at) == (
        "firing",
        "critical",
        None,
        None,
        T0 + 10_000,
    )


def test_backlog_moves_the_state_and_nothing_else() -> None:
    stage = Stage(replace(HOT, commands=(command(),)))
    (transitions,) = stage.read(0, backlog=True, t=15)
    assert (transitions.state, transitions.backlog, transitions.notify, transitions.commands) == (
        "firing",
        True,
        False,
        (),
    )
    (transitions,) = stage.read(1, t=5)
    assert (transitions.state, transitions.backlog, transitions.notify) == ("resolved", False, True)


def test_for_that_completes_on_a_tick_inherits_the_backlog() -> None:
    rule = replace(HOT, levels=(Level("warning", limit=10.0, for_ms=5_000),), commands=(command(),))
    stage = Stage(rule)
    stage.read(0, backlog=True, t=15)
    (transitions,) = stage.tick(6)
    assert (transitions.state, transitions.at, transitions.backlog, transitions.commands) == (
        "firing",
        T0 + 5_000,
        True,
        (),
    )


def test_notify_device_false() -> None:
    stage = Stage(replace(HOT, notify_device=False))
    assert [each.notify for each in stage.read(0, t=15)] == [False]
