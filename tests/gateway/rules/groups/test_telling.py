"""Who is told of the alerts of groups, and what these inhibit."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_gateway.records.alerts import Transition
from edge_gateway.rules.alerts.rule_state import Instant
from edge_gateway.rules.files.load import load_rules
from edge_gateway.rules.muting.acknowledgements import Acknowledgement
from edge_gateway.rules.muting.silences import Silence
from tests.gateway.rules.fleet import T0, Stage
from tests.gateway.rules.groups.grouped import stage_of

DOWN = "{alert: Down, expr: 'share(no_data(x, 1m))', by: [site], above: 0.5, repeat: 1h}"
SILENT = "{alert: Silent, no_data: {after: 1m, metric: x, severity: warning}}"
INHIBIT = "inhibit:\n- {source: {alert: Down}, target: {alert: Silent}, equal: [site]}\n"
DEVICES = {"a": {}, "b": {}, "c": {"site": "lyon"}, "d": {"site": "lyon"}}


def silent_at_berlin(path: Path, *rules: str) -> Stage:
    """A stage where a and c have sent x at 1 s, and d goes on to."""
    stage = stage_of(path, *rules, devices=DEVICES)
    file = path / "rules.yaml"
    file.write_text(file.read_text() + (INHIBIT if SILENT in rules else ""))
    stage.evaluator.reload(load_rules(file), Instant(0, T0))
    stage.read(1, "a", x=1.0)
    for device, second in (("c", 1), ("d", 1), ("d", 50)):
        stage.read_at(second, device, "lyon", {"x": 1.0})
    return stage


def by_subject(found: list[Transition]) -> dict[str, tuple[str, ...]]:
    return {f"{each.rule} {each.subject}": each.suppressed for each in found}


def at(second: float) -> Instant:
    return Instant(int(second * 1000), T0 + int(second * 1000))


@pytest.mark.parametrize("rules", [(DOWN, SILENT), (SILENT, DOWN)])
def test_a_group_inhibits_the_alerts_of_its_devices_from_the_same_tick_on(
    tmp_path: Path, rules: tuple[str, ...]
) -> None:
    stage = silent_at_berlin(tmp_path, *rules)
    assert by_subject(stage.tick(62)) == {
        "Down site=berlin": (),
        "Silent a": ("inhibit Down/site=berlin",),
        "Silent c": (),
    }


def test_a_group_goes_on_to_inhibit_after_a_reload_and_a_restart(tmp_path: Path) -> None:
    stage = silent_at_berlin(tmp_path, DOWN, SILENT)
    stage.tick(62)
    stage.evaluator.reload(load_rules(tmp_path / "rules.yaml"), at(63))
    stage.evaluator.restore(stage.evaluator.snapshot())
    stage.read(64, "b", x=1.0)
    ended, told = stage.tick(65)
    assert (ended.subject, ended.event) == ("site=berlin", "resolved"), "one of two is no more than half"
    assert (told.rule, told.subject, told.event, told.suppressed) == ("Silent", "a", "released", ())


def test_what_a_silence_withheld_of_a_group_is_told_once_when_it_ends(tmp_path: Path) -> None:
    stage = silent_at_berlin(tmp_path, DOWN)
    muting = stage.evaluator.muting
    number = muting.silence(Silence(0, {"site": ["berlin"]}, False, "works", "anna", T0, T0, 10**9)).id
    assert by_subject(stage.tick(62)) == {"Down site=berlin": (f"silence {number}",)}
    muting.end_silence(number)
    (told,) = stage.evaluator.release("operator", at(70))
    assert (told.subject, told.event, told.cause, told.state) == (
        "site=berlin",
        "released",
        "operator",
        "firing",
    )
    assert (told.at, told.notify, told.labels) == (T0 + 70_000, False, {"site": "berlin"})
    muting.stale = True
    assert stage.evaluator.release("operator", at(71)) == []


def test_the_alert_of_a_group_can_be_acknowledged(tmp_path: Path) -> None:
    stage = silent_at_berlin(tmp_path, DOWN)
    (fired,) = stage.tick(62)
    told = stage.evaluator.acknowledge(Acknowledgement(fired.id, "bob", "on my way", T0), at(70))
    assert told is not None
    assert (told.subject, told.event, told.at) == ("site=berlin", "acknowledged", T0 + 70_000)
    (repeated,) = [each for each in stage.tick(3_663) if each.event == "repeat"]
    assert repeated.suppressed == ("acknowledgement",)
    assert stage.evaluator.acknowledge(Acknowledgement("other", "bob", "", T0), at(71)) is None


def test_the_alert_of_a_group_is_reminded_of_by_the_clock_of_the_gateway(tmp_path: Path) -> None:
    stage = silent_at_berlin(tmp_path, DOWN, SILENT)
    (down,) = [each for each in stage.tick(62) if each.rule == "Down"]
    told = [stage.evaluator.remind({down.id}, at(second)) for second in (100, 100, 90)]
    assert [[(each.event, each.subject, each.since) for each in one] for one in told] == [
        [("reminder", "site=berlin", down.at)]
    ] * 3
    assert [each.at - T0 for (each,) in told] == [100_000, 100_001, 100_002]
    assert told[0][0].labels["site"] == "berlin"
    assert not told[0][0].notify
    assert stage.evaluator.remind({"another"}, at(110)) == []
