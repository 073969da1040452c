"""Golden cases in `tests/cases/rules`: rules and readings in, transitions out.

A line of `readings.txt` is `SECOND DEVICE metric=value …`, with `site/` before the device if it is not berlin and
`backlog` before it for an old reading, or `SECOND tick`. A line of `transitions.txt` is `SECOND DEVICE RULE CAUSE STATE
LEVEL COMMAND …`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_gateway.records.alerts import Transition
from edge_gateway.rules.files.load import load_rules
from tests.gateway.rules.fleet import T0, Row, Stage

CASES = sorted((Path(__file__).parents[2] / "cases" / "rules").iterdir())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Path) -> None:
    stage = Stage(*load_rules(case / "rules.yaml").rules)
    found: list[str] = []
    for line in (case / "readings.txt").read_text().splitlines():
        second, *words = line.split()
        found += map(shown, performed(stage, int(second), words))
    assert found == (case / "transitions.txt").read_text().splitlines()


def performed(stage: Stage, second: int, words: list[str]) -> list[Transition]:
    if words == ["tick"]:
        return stage.tick(second)
    backlog = words[0] == "backlog"
    device, *values = words[backlog:]
    site, _, name = device.rpartition("/")
    row = Row(name, T0 + 1000 * second, dict(map(parsed, values)), backlog=backlog, site=site or "berlin")
    frame = stage.evaluator.add_records(stage.fleet.frame([row]))
    return stage.evaluator.evaluate(frame, 1000 * second)


def parsed(word: str) -> tuple[str, float | str]:
    name, _, value = word.partition("=")
    try:
        return name, float(value)
    except ValueError:
        return name, value


def shown(each: Transition) -> str:
    names = [command.name for command in each.commands]
    second = (each.at - T0) // 1000
    return " ".join([str(second), each.subject, each.rule, each.cause, each.state, each.level, *names])
