"""What was withheld is told once nothing mutes it, unless a reading will tell it or there is nothing left to tell."""

from edge_gateway.rules.language.ruleset import RuleSet
from tests.gateway.rules.muting.muted import MutedStage, hot, inhibit, muted, told


def test_a_released_alert_is_repeated_from_then_on() -> None:
    stage = MutedStage(hot(repeat_ms=60_000))
    stage.silence(50, site="berlin")
    stage.read(1, t=15)
    assert told(stage.pass_to(50)) == ["released Hot/d warning"]
    assert stage.pass_to(109) == []
    assert told(stage.pass_to(110)) == ["repeat Hot/d warning"]


def test_what_an_old_reading_changed_meanwhile_is_told_by_a_live_one() -> None:
    stage = MutedStage(hot())
    stage.read(1, t=15)
    stage.silence(50, site="berlin")
    stage.read(2, t=25)
    stage.read(3, backlog=True, t=5)
    assert stage.pass_to(50) == []
    found = stage.read(51, t=5)
    assert (told(found), found[0].state) == (["released Hot/d critical"], "resolved")


def test_a_silence_within_a_flapping_leaves_the_end_to_the_last() -> None:
    stage = MutedStage(hot())
    for at in range(8):
        stage.read(at + 1, t=5 if at % 2 else 15)
    stage.silence(4_000, site="berlin")
    assert stage.pass_to(2_000) == []
    assert stage.pass_to(4_000) == []


def test_a_reload_without_the_inhibit_tells_its_targets() -> None:
    rules = hot("Down", "x"), hot()
    stage = MutedStage(*rules, inhibits=(inhibit("Down", "Hot", "site"),))
    stage.read(1, x=15)
    assert muted(stage.read(2, t=15)) == [("firing", ("inhibit Down/d",))]
    stage.evaluator.reload(RuleSet(rules, inhibits=(inhibit("Down", "Hot", "site"),)))
    assert stage.pass_to(3) == []
    stage.evaluator.reload(RuleSet(rules))
    assert told(stage.pass_to(4)) == ["released Hot/d warning"]


def test_the_alert_of_a_rule_that_is_removed_is_not_told_when_nobody_heard_of_it() -> None:
    stage = MutedStage(hot())
    stage.silence(50, site="berlin")
    stage.read(1, t=15)
    assert muted(stage.evaluator.reload(RuleSet())) == [("resolved", ("silence 1",))]
    assert stage.pass_to(50) == []
