"""Golden cases in `tests/cases/rules`: rules and readings in, transitions out.

A line of `readings.txt` is `SECOND DEVICE metric=value …`, with `site/` before the device if it is not berlin and
`backlog` before it for an old reading; `SECOND tick`; `SECOND restart`; `SECOND reload FILE`; `SECOND gone DEVICE`;
`SECOND boot DEVICE BOOT`, a birth; or `SECOND born DEVICE tag=… type=… unit.METRIC=…`. A line of `transitions.txt` is
`SECOND DEVICE RULE#N EVENT CAUSE STATE LEVEL COMMAND-ID …`, where N counts the alerts by their ids; a line for each
text of the alert follows.
`python -m tests.gateway.rules.test_golden NAME` prints what a case leads to.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from edge_gateway.records.alerts import Transition
from edge_gateway.rules.files.load import load_rules
from edge_gateway.rules.files.model import rules_schema
from edge_gateway.rules.files.zone_data import read_zones
from edge_gateway.rules.language.functions import FUNCTIONS, KEYWORDS
from edge_gateway.rules.language.ruleset import RuleSet
from tests.gateway.rules.fleet import T0, Row, Stage

CASES = sorted((Path(__file__).parents[2] / "cases" / "rules").iterdir())
FOLDS = CASES[0].parents[1] / "fold"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Path) -> None:
    assert played(case) == (case / "transitions.txt").read_text().splitlines()


def test_every_construct_has_a_case() -> None:
    """Keys of rules, functions and operators: what a rule can say is in a case of rules or of the fold."""
    texts = [path.read_text() for path in (*CASES[0].parent.glob("*/*.yaml"), *FOLDS.glob("*/rules.yaml"))]
    used = set().union(*(re.findall(r"[a-z_]+", text) for text in texts))
    schema = rules_schema()
    keys = {key for each in (schema, *schema["$defs"].values()) for key in each["properties"]}
    assert keys | FUNCTIONS.keys() | KEYWORDS - {"false"} <= used
    expressions = " ".join(
        text for case in CASES for rule in load_rules(case / "rules.yaml").rules for text in rule.expressions
    )
    assert {"+", "-", "*", "/", "(", ",", "<", "<=", ">", ">=", "==", "!="} <= set(expressions.split())


def played(case: Path) -> list[str]:
    stage = Stage()
    stage.evaluator.reload(rules_of(case / "rules.yaml"))
    found: list[str] = []
    ids: dict[str, int] = {}
    for line in (case / "readings.txt").read_text().splitlines():
        second, *words = line.split()
        found += (
            text
            for each in performed(stage, int(second), words, case)
            for text in shown(each, ids.setdefault(each.id, len(ids) + 1))
        )
    return found


def rules_of(file: Path) -> RuleSet:
    """The rules of a file, for sites in the time zones that `zones.txt` beside it names: a line for each."""
    zones = file.with_name("zones.txt")
    named = dict(line.split() for line in zones.read_text().splitlines()) if zones.exists() else {}
    return load_rules(file).within(read_zones(named.pop("default", None), named))


def performed(stage: Stage, second: int, words: list[str], case: Path) -> list[Transition]:
    stage.begin()
    match words:
        case ["tick"]:
            return stage.tick(second)
        case ["reload", name]:
            return stage.evaluator.reload(rules_of(case / name))
        case ["restart"]:
            stage.restart()
            return []
        case ["gone" | "boot", device, *boot]:
            online(stage, second * 1000, stage.fleet.device(device), *map(int, boot))
            return []
        case ["born", device, *about]:
            born(stage, device, dict(word.split("=") for word in about))
            return []
    backlog = words[0] == "backlog"
    device, *values = words[backlog:]
    site, _, name = device.rpartition("/")
    row = Row(name, T0 + 1000 * second, dict(map(parsed, values)), backlog=backlog, site=site or "berlin")
    frame = stage.evaluator.add_records(stage.fleet.frame([row]))
    return stage.evaluator.evaluate(frame, 1000 * second)


def online(stage: Stage, listening: int, device: int, boot: int | None = None) -> None:
    """Let a device be born with this boot, or go offline."""
    if boot is None:
        stage.evaluator.gone(device, listening)
    else:
        stage.evaluator.birth(device, (), boot, listening)


def born(stage: Stage, device: str, about: dict[str, str]) -> None:
    kind = about.pop("type", "unknown")
    units = {key.removeprefix("unit."): about.pop(key) for key in list(about) if key.startswith("unit.")}
    stage.fleet.born(device, kind=kind, units=units, **about)


def parsed(word: str) -> tuple[str, float | str]:
    name, _, value = word.partition("=")
    try:
        return name, float(value)
    except ValueError:
        return name, value


def shown(each: Transition, number: int) -> list[str]:
    ids = [command.id for command in each.commands]
    second = (each.at - T0) // 1000
    what = (each.event, each.cause, each.state, each.level)
    line = " ".join([str(second), each.subject, f"{each.rule}#{number}", *what, *ids])
    return [line, *(f"  {name}: {text}" for name, text in {**each.labels, **each.annotations}.items())]


if __name__ == "__main__":
    for case in CASES:
        if case.name in sys.argv[1:]:
            sys.stdout.write("\n".join([f"# {case.name}", *played(case), ""]))
