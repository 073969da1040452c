"""Who is told of an alert and who is not, whatever mutes it; its state and its history go on."""

from __future__ import annotations

from edge_gateway.rules.language.ruleset import RuleSet
from edge_gateway.rules.muting.flapping import SPAN
from tests.gateway.rules.fleet import events
from tests.gateway.rules.muting.muted import MutedStage, commands, fan, hot, inhibit, muted, told


def test_a_silence_stops_the_notice_and_neither_state_nor_commands() -> None:
    stage = MutedStage(hot(commands=(fan(),)))
    number = stage.silence(100, site="berlin")
    found = stage.read(1, t=15)
    assert events(found) == ["firing"]
    assert muted(found) == [("firing", (f"silence {number}",))]
    assert (told(found), commands(found)) == ([], ["fan"])
    assert stage.evaluator.firing()[0].suppressed == (f"silence {number}",)


def test_what_still_fires_when_a_silence_ends_is_told_once_and_commands_are_not_repeated() -> None:
    stage = MutedStage(hot(commands=(fan(),)))
    stage.silence(100, site="berlin")
    stage.read(1, t=15)
    assert stage.pass_to(99) == []
    found = stage.pass_to(100)
    assert (told(found), commands(found)) == (["released Hot/d warning"], [])
    assert [one.cause for one in found] == ["time"]
    assert stage.pass_to(101) == []
    assert told(stage.read(102, t=5)) == ["resolved Hot/d warning"]


def test_a_silence_that_an_operator_ends_is_told_at_once() -> None:
    stage = MutedStage(hot())
    number = stage.silence(100, device="d")
    stage.read(1, t=15)
    found = stage.end_silence(number)
    assert (told(found), [one.cause for one in found]) == (["released Hot/d warning"], ["operator"])


def test_what_began_and_ended_in_a_silence_is_never_told() -> None:
    stage = MutedStage(hot())
    stage.silence(100, site="berlin")
    stage.read(1, t=15)
    found = stage.read(2, t=5)
    assert muted(found) == [("resolved", ("silence 1",))]
    assert stage.pass_to(100) == []


def test_the_end_of_what_was_told_is_told_in_a_silence() -> None:
    stage = MutedStage(hot())
    assert told(stage.read(1, t=15)) == ["firing Hot/d warning"]
    stage.silence(100, alert="Hot", subject="d")
    assert told(stage.read(2, t=25)) == []
    assert told(stage.read(3, t=5)) == ["resolved Hot/d critical"]
    assert stage.pass_to(100) == []


def test_an_end_just_after_a_silence_of_what_nobody_heard_is_not_told() -> None:
    stage = MutedStage(hot())
    number = stage.silence(100, site="berlin")
    stage.read(1, t=15)
    stage.evaluator.muting.end_silence(number)
    assert muted(stage.read(2, t=5)) == [("resolved", ("silence 1",))]
    assert stage.pass_to(3) == []


def test_a_level_reached_in_a_silence_is_told_at_its_end() -> None:
    stage = MutedStage(hot())
    stage.read(1, t=15)
    number = stage.silence(100, site="berlin")
    stage.read(2, t=25)
    stage.read(3, t=15)
    assert told(stage.end_silence(number)) == []
    number = stage.silence(100, site="berlin")
    stage.read(4, t=25)
    found = stage.end_silence(number)
    assert told(found) == ["released Hot/d critical"]
    assert found[0].was == "warning"


def test_commands_are_muted_where_asked_but_for_those_that_end_what_earlier_ones_began() -> None:
    on, off = fan(id="on"), fan(("resolved",), id="off")
    stage = MutedStage(hot(commands=(on, off)))
    stage.silence(100, commands=True, site="berlin")
    found = stage.read(1, t=15)
    assert (commands(found), found[0].held) == ([], ("on",))
    assert commands(stage.read(2, t=5)) == []
    stage.pass_to(100)
    assert commands(stage.read(101, t=15)) == ["on"]
    stage.silence(200, commands=True, site="berlin")
    assert commands(stage.read(102, t=5)) == ["off"]


def test_two_silences_mute_until_both_are_over() -> None:
    stage = MutedStage(hot())
    stage.silence(100, site="berlin")
    stage.silence(200, device="d")
    assert muted(stage.read(1, t=15)) == [("firing", ("silence 1", "silence 2"))]
    assert stage.pass_to(100) == []
    assert stage.evaluator.firing()[0].suppressed == ("silence 2",)
    assert told(stage.pass_to(200)) == ["released Hot/d warning"]


def test_silences_and_what_they_withhold_survive_a_restart() -> None:
    stage = MutedStage(hot())
    stage.silence(100, site="berlin")
    stage.read(1, t=15)
    stage.restart()
    assert stage.pass_to(50) == []
    assert stage.evaluator.firing()[0].suppressed == ("silence 1",)
    stage.restart()
    assert told(stage.pass_to(100)) == ["released Hot/d warning"]
    assert stage.silence(200, site="berlin") == 2


def test_an_old_reading_in_a_silence_is_told_by_the_first_live_one_that_nothing_mutes() -> None:
    stage = MutedStage(hot())
    stage.silence(100, site="berlin")
    assert muted(stage.read(1, backlog=True, t=15)) == []
    assert muted(stage.read(2, t=15)) == [("released", ("silence 1",))]
    assert told(stage.pass_to(100)) == ["released Hot/d warning"]


def test_a_device_whose_tags_no_silence_selects_any_more_is_told() -> None:
    stage = MutedStage(hot())
    stage.fleet.born("d", room="cellar")
    stage.silence(100, room="cellar")
    stage.read(1, t=15)
    assert stage.pass_to(2) == []
    stage.fleet.born("d", room="attic")
    assert told(stage.pass_to(3)) == ["released Hot/d warning"]


# --- inhibits


def test_a_source_mutes_its_targets_while_it_fires_and_they_wait_after_it() -> None:
    stage = MutedStage(hot("Down", "x"), hot(), inhibits=(inhibit("Down", "Hot", "site", wait=60),))
    assert told(stage.read(1, x=15)) == ["firing Down/d warning"]
    assert muted(stage.read(2, t=15)) == [("firing", ("inhibit Down/d",))]
    assert told(stage.read(3, x=5)) == ["resolved Down/d warning"]
    assert told(stage.read(4, "e", t=15)) == []
    assert stage.pass_to(62) == []
    assert told(stage.pass_to(63)) == ["released Hot/d warning", "released Hot/e warning"]


def test_the_order_of_rules_in_the_file_makes_no_difference() -> None:
    outcomes = []
    for rules in ((hot("Down", "x"), hot()), (hot(), hot("Down", "x"))):
        stage = MutedStage(*rules, inhibits=(inhibit("Down", "Hot", "site"),))
        found = stage.together(1, ("d", {"t": 15, "x": 15}))
        found += stage.together(2, ("d", {"t": 15, "x": 5}), ("e", {"t": 15}))
        found += stage.pass_to(3)
        outcomes.append(sorted(told(found)))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0] == [
        "firing Down/d warning",
        "released Hot/d warning",
        "released Hot/e warning",
        "resolved Down/d warning",
    ]


def test_the_order_of_readings_in_a_frame_makes_no_difference() -> None:
    for rows in ((("d", {"x": 15.0}), ("e", {"t": 15.0})), (("e", {"t": 15.0}), ("d", {"x": 15.0}))):
        stage = MutedStage(hot("Down", "x"), hot(), inhibits=(inhibit("Down", "Hot", "site"),))
        assert told(stage.together(1, *rows)) == ["firing Down/d warning"]


def test_a_muted_source_inhibits_too() -> None:
    stage = MutedStage(hot("Down", "x"), hot(), inhibits=(inhibit("Down", "Hot", "site"),))
    stage.silence(100, alert="Down")
    assert told(stage.read(1, x=15) + stage.read(2, t=15)) == []


def test_no_alert_inhibits_itself_and_two_that_are_source_and_target_do_not_mute_each_other() -> None:
    stage = MutedStage(hot(), hot("Other", "u"), inhibits=(inhibit("*", "*", "site"),))
    assert told(stage.read(1, t=15)) == ["firing Hot/d warning"]
    assert told(stage.read(2, u=15)) == ["firing Other/d warning"]


def test_what_is_missing_is_never_equal() -> None:
    stage = MutedStage(hot("Down", "x"), hot(), inhibits=(inhibit("Down", "Hot", "room"),))
    assert told(stage.read(1, x=15) + stage.read(2, t=15)) == [
        "firing Down/d warning",
        "firing Hot/d warning",
    ]


def test_commands_of_a_target_are_muted_where_asked() -> None:
    both = hot("Down", "x"), hot(commands=(fan(),))
    for asked in (False, True):
        stage = MutedStage(*both, inhibits=(inhibit("Down", "Hot", "site", commands=asked),))
        stage.read(1, x=15)
        assert commands(stage.read(2, t=15)) == ([] if asked else ["fan"])


def test_a_wait_survives_a_restart() -> None:
    stage = MutedStage(hot("Down", "x"), hot(), inhibits=(inhibit("Down", "Hot", "site", wait=60),))
    for metric, value in (("x", 15.0), ("t", 15.0), ("x", 5.0)):
        stage.read_at(1, "d", "berlin", {metric: value})
        stage.restart()
    assert stage.pass_to(60) == []
    assert told(stage.pass_to(61)) == ["released Hot/d warning"]


# --- acknowledgements


def test_an_acknowledgement_stops_repeats_until_the_alert_escalates() -> None:
    stage = MutedStage(hot(repeat_ms=60_000))
    stage.read(1, t=15)
    assert told(stage.pass_to(61)) == ["repeat Hot/d warning"]
    given = stage.acknowledge()
    assert (given.event, given.cause, given.acked, given.notify) == ("acknowledged", "operator", True, False)
    assert muted(stage.pass_to(121)) == [("repeat", ("acknowledgement",))]
    stage.restart()
    assert stage.evaluator.firing()[0].acked
    found = stage.read(122, t=25)
    assert (told(found), found[0].acked) == (["escalated Hot/d critical"], False)
    assert told(stage.pass_to(182)) == ["repeat Hot/d critical"]


def test_an_alert_that_ends_unacknowledged_stays_listed_for_a_day_or_until_it_is_acknowledged() -> None:
    stage = MutedStage(hot())
    stage.read(1, t=15)
    stage.acknowledge()
    stage.read(2, t=5)
    listed = stage.evaluator.muting.acknowledgements
    assert not list(listed.ended(2_000))
    stage.read(3, t=15)
    (ended,) = stage.read(4, t=5)
    assert [row["id"] for row in listed.ended(4_000)] == [ended.id]
    assert list(listed.ended(4_000 + 86_400_000)) == []
    stage.restart()
    listed = stage.evaluator.muting.acknowledgements
    row = listed.unlist(ended.id)
    assert row is not None
    assert row["event"] == "resolved"
    assert listed.unlist(ended.id) is None


# --- flapping


def flap(stage: MutedStage, changes: int, start: int = 0) -> list[str]:
    """Let the alert begin and end in turns, a second each; what is told."""
    return [line for at in range(changes) for line in told(stage.read(start + at, t=5 if at % 2 else 15))]


def test_more_than_six_changes_mute_an_alert_until_it_is_quiet_and_then_its_state_is_told_once() -> None:
    stage = MutedStage(hot())
    assert len(flap(stage, 9)) == 6
    assert stage.evaluator.firing()[0].suppressed == ("flapping",)
    quiet = 8 + SPAN // 1000
    assert stage.pass_to(quiet - 1) == []
    stage.restart()
    assert told(stage.pass_to(quiet)) == ["released Hot/d warning"]
    assert stage.pass_to(quiet + 1) == []
    assert told(stage.read(quiet + 2, t=5)) == ["resolved Hot/d warning"]


def test_an_alert_that_has_ended_when_it_is_quiet_is_told_to_have() -> None:
    stage = MutedStage(hot())
    assert len(flap(stage, 8)) == 6
    found = stage.pass_to(7 + SPAN // 1000)
    assert told(found) == ["released Hot/d warning"]
    assert found[0].state == "resolved"


def test_a_higher_level_passes_while_an_alert_flaps() -> None:
    stage = MutedStage(hot())
    flap(stage, 9)
    assert told(stage.read(10, t=25)) == ["escalated Hot/d critical"]
    assert told(stage.read(11, t=15)) == []
    assert told(stage.read(12, t=25)) == []


def test_six_changes_in_the_span_are_all_told() -> None:
    stage = MutedStage(hot())
    seconds = SPAN // 1000
    assert len(flap(stage, 6)) == 6
    assert len(flap(stage, 6, start=seconds + 6)) == 6


def test_the_end_of_a_rule_is_told_while_its_alert_flaps_if_its_beginning_was() -> None:
    stage = MutedStage(hot())
    flap(stage, 9)
    assert muted(stage.evaluator.reload(RuleSet())) == [("resolved", ("flapping",))]
    assert stage.pass_to(9 + SPAN // 1000) == []
    stage = MutedStage(hot())
    flap(stage, 9)
    stage.read(10, t=25)
    assert told(stage.evaluator.reload(RuleSet())) == ["resolved Hot/d critical"]
