"""From a rule file to the device: what commands are sent, in which order, and what their fate is."""

from __future__ import annotations

import pytest

from edge_gateway.fold.messages import MessageKind
from fleet_wire import control_messages
from tests.gateway.fold.commanded import CommandedSite, restored

PUMP = (
    "{alert: Flood, expr: level, above: 10, severity: critical, commands: ["
    "{id: on, name: pump, args: {on: true}}, {id: off, name: pump, args: {on: false}, on: [resolved]%s}]%s}"
)


@pytest.fixture(params=[False, True], ids=["running", "killed before every input"])
def crashing(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def pumping(crashing: bool, command: str = "", rule: str = "") -> CommandedSite:
    """A site whose pump was switched on at 1 s."""
    site = CommandedSite(PUMP % (command, rule), crashing=crashing)
    assert site.read(0, level=1) == []
    assert site.read(1, level=12) == ["pump"]
    return site


def test_a_device_that_does_not_answer_gets_its_later_commands(*, crashing: bool) -> None:
    site = CommandedSite(
        "{alert: Warm, expr: t, above: 10, commands: [{name: fan}]}",
        "{alert: Fire, expr: t, above: 50, severity: critical, commands: [{name: emergency_stop}]}",
        crashing=crashing,
    )
    assert site.read(0, t=20) == ["fan"]
    assert site.read(1, t=60) == ["emergency_stop"]


def test_commands_are_sent_in_the_order_of_the_file(*, crashing: bool) -> None:
    site = CommandedSite(
        "{alert: Gas, expr: gas, above: 10, commands: [{name: close}, {name: horn}, {name: alarm}]}",
        crashing=crashing,
    )
    assert site.read(0, gas=20) == ["close", "horn", "alarm"]
    assert [command.n for command in site.sent] == sorted({command.n for command in site.sent if command.n})


def test_the_order_of_the_file_holds_where_the_rate_delays_them(*, crashing: bool) -> None:
    site = CommandedSite(
        "{alert: Gas, expr: gas, above: 10, commands: [{name: close}, {name: horn}, {name: alarm}]}",
        crashing=crashing,
        commands={"per_device": "1/10s"},
    )
    assert site.read(0, gas=20) == ["close"]
    assert site.pass_time(1, 20) == ["horn", "alarm"]


def test_two_commands_of_one_name_are_two(*, crashing: bool) -> None:
    site = CommandedSite(
        "{alert: Gas, expr: gas, above: 10, commands: ["
        "{id: one, name: valve, args: {number: 1}}, {id: two, name: valve, args: {number: 2}}]}",
        crashing=crashing,
    )
    assert site.read(0, gas=20) == ["valve", "valve"]
    assert [command.args for command in site.sent] == [{"number": 1}, {"number": 2}]
    assert len({command.id for command in site.sent}) == 2


def test_of_confirmed_commands_the_next_waits_and_a_critical_one_overtakes(*, crashing: bool) -> None:
    confirm = "confirm: {within: 5s, retries: 3}"
    site = CommandedSite(
        f"{{alert: Warm, expr: t, above: 10, commands: [{{name: fan, {confirm}}}, {{name: lamp}}]}}",
        f"{{alert: Fire, expr: t, above: 50, severity: critical, commands: [{{name: stop, {confirm}}}]}}",
        crashing=crashing,
    )
    assert site.read(0, t=20) == ["fan"]
    assert site.pass_time(1, 5) == ["fan"], "a retry"
    first, retry = site.sent
    assert (first.id, first.n) == (retry.id, retry.n)
    assert site.read(6, t=60) == ["stop"]
    assert site.states("fan") == ["queued", "sent", "overtaken"]
    assert site.pass_time(7, 11) == ["stop"], "what was overtaken is not sent again"
    assert site.ack(12, site.sent[-1]) == ["lamp"]


def test_a_for_that_ends_in_silence_sends_nothing(*, crashing: bool) -> None:
    site = CommandedSite(
        "{alert: Hot, expr: t, above: 10, for: 20s, commands: [{name: fan}]}",
        crashing=crashing,
        commands={"max_reading_age": "5s"},
    )
    assert site.read(0, t=12) == []
    assert site.pass_time(1, 60) == []
    assert site.read(61, t=12) == ["fan"], "it is owed"


def test_a_command_that_waits_until_its_reading_is_too_old_is_not_sent(*, crashing: bool) -> None:
    site = CommandedSite(
        "{alert: Hot, expr: t, above: 10, commands: [{name: fan}, {name: lamp}]}",
        crashing=crashing,
        commands={"max_reading_age": "5s", "per_device": "1/10s"},
    )
    assert site.read(0, t=12) == ["fan"]
    assert site.pass_time(1, 30) == []
    assert site.states("lamp") == ["queued", "expired"]


def test_age_and_expiry_of_what_time_causes_count_from_then(*, crashing: bool) -> None:
    """The device was silent for ten minutes, so that its newest reading has long expired."""
    site = CommandedSite(
        "{alert: Silent, no_data: {after: 10m, metric: t, state: no_data},"
        " commands: [{name: reboot, on: [no_data]}]}",
        crashing=crashing,
    )
    site.read(0, age=50, t=1)
    assert site.tick(700) == ["reboot"]


@pytest.mark.parametrize("way", ["removed", "renamed", "no longer matching", "silence", "backlog"])
def test_whatever_ends_an_alert_switches_off_what_it_switched_on(way: str, *, crashing: bool) -> None:
    site = pumping(crashing, rule=", no_data: {after: 5m, state: ok}" if way == "silence" else "")
    match way:
        case "removed":
            sent = site.reload(200, "{alert: Other, expr: level, above: 99}")
        case "renamed":
            sent = site.reload(200, (PUMP % ("", "")).replace("Flood", "TooHigh"))
        case "no longer matching":
            sent = site.reload(200, PUMP % ("", ", match: {type: pump}"))
        case "silence":
            sent = site.tick(400)
        case _:
            sent = site.read(5_000, age=2_000, level=1)
    assert sent == ["pump"]
    assert site.sent[-1].args == {"on": False}
    assert site.notices[-1].alert is not None
    assert site.notices[-1].alert.state == "resolved"


def test_what_an_alert_switched_on_is_switched_off_once(*, crashing: bool) -> None:
    site = pumping(crashing)
    assert site.read(5_000, age=2_000, level=1) == ["pump"]
    assert site.read(5_001, level=1) == []
    assert site.read(5_002, level=12) == ["pump"]


def test_an_alert_that_old_readings_end_and_begin_again_is_owed(*, crashing: bool) -> None:
    site = pumping(crashing)
    assert site.read(5_000, age=2_000, level=1) == ["pump"]
    assert site.read(5_001, age=1_000, level=12) == []
    assert site.read(5_002, level=12) == ["pump"], "the device was told that it ended"
    assert site.sent[-1].args == {"on": True}


def test_an_end_that_old_readings_tell_waits_where_nothing_was_switched_on(*, crashing: bool) -> None:
    site = CommandedSite(
        "{alert: A, expr: level, above: 10, commands: [{name: all_clear, on: [resolved]}]}", crashing=crashing
    )
    site.read(0, level=12)
    assert site.read(5_000, age=2_000, level=1) == []
    assert site.read(5_001, level=1) == ["all_clear"]


def test_no_cooldown_holds_what_switches_off(*, crashing: bool) -> None:
    site = pumping(crashing, command=", cooldown: 1h")
    assert [site.read(second, level=12 - 11 * (second % 2)) for second in (3, 4, 5)] == [["pump"]] * 3


def test_the_rate_only_delays_what_switches_off(*, crashing: bool) -> None:
    """It expires 60 s after it is first sent; here that is after ten minutes."""
    site = CommandedSite(PUMP % ("", ""), crashing=crashing, commands={"per_device": "1/10m"})
    assert site.read(0, level=12) == ["pump"]
    assert site.read(1, level=1) == []
    assert site.tick(599) == []
    assert site.tick(600) == ["pump"]
    assert site.pass_time(659, 660) == []
    assert site.states("pump")[-1] == "unconfirmed"


def test_a_full_queue_makes_room_for_what_switches_off() -> None:
    others = ", ".join(f"{{name: c{number}}}" for number in range(25))
    site = CommandedSite(
        PUMP % ("", ""),
        f"{{alert: Many, expr: level, above: 11, commands: [{others}]}}",
        "{alert: More, expr: level, above: 12, commands: [{name: last}]}",
        commands={"per_device": "1/1h"},
    )
    assert site.read(0, level=12) == ["pump"]
    site.read(1, level=13)
    assert site.pipeline.commands.waiting() == {"f1": 20}
    site.read(2, level=1)
    assert site.states("pump") == ["queued", "sent", "queued"]
    assert site.states("last") == ["queued", "failed"]


def test_a_switch_on_that_still_waits_never_follows_its_switch_off() -> None:
    """The critical end overtakes the beginning, which was a warning and waits for the rate."""
    levels = "levels: {warning: {above: 10}, critical: {above: 20}}"
    commands = "commands: [{name: first}, {name: fan_on}, {name: fan_off, on: [resolved]}]"
    site = CommandedSite(f"{{alert: Hot, expr: t, {levels}, {commands}}}", commands={"per_device": "1/10s"})
    assert site.read(0, t=15) == ["first"]
    site.read(1, t=25)
    assert site.read(2, t=5) == []
    assert site.pass_time(3, 40) == ["fan_off"]
    assert site.states("fan_on") == ["queued", "overtaken"]


@pytest.mark.parametrize("state", ["alerting", "no_data", "ok", "keep_last"])
@pytest.mark.parametrize("level", [1, 12])
def test_silence_commands_whatever_it_does_to_the_alert(state: str, level: int, *, crashing: bool) -> None:
    site = CommandedSite(
        f"{{alert: A, expr: level, above: 10, no_data: {{after: 10s, state: {state}}},"
        " commands: [{name: reset, on: [no_data]}]}",
        crashing=crashing,
    )
    site.read(0, level=level)
    assert site.pass_time(1, 30) == ["reset"]
    site.read(31, level=level)
    assert site.pass_time(32, 60) == ["reset"]


def test_all_events_that_hold_count(*, crashing: bool) -> None:
    commands = ", ".join(
        f"{{name: at_{event}, on: [{event}]}}" for event in ("firing", "no_data", "escalated", "resolved")
    )
    both = "{name: once, on: [firing, no_data]}"
    silent = f"{{alert: A, no_data: {{after: 10s, metric: t}}, commands: [{commands}, {both}]}}"
    site = CommandedSite(silent, crashing=crashing)
    site.read(0, t=1)
    assert site.pass_time(1, 30) == ["at_firing", "at_no_data", "once"]
    assert site.read(31, t=1) == ["at_resolved"]


def test_a_cooldown_belongs_to_its_command_wherever_that_stands(*, crashing: bool) -> None:
    before = "{alert: A, expr: t, above: 10, commands: [{name: fan, cooldown: 1h}]}"
    after = (
        "{alert: A, expr: t, above: 10, commands: [{name: lamp, cooldown: 1h}, {name: fan, cooldown: 1h}]}"
    )
    site = CommandedSite(before, crashing=crashing)
    assert site.read(0, t=20) == ["fan"]
    site.read(1, t=5)
    site.reload(2, after)
    assert site.read(3, t=20) == ["lamp"]
    site.read(4, t=5)
    site.reload(5, before)
    assert site.read(6, t=20) == []


def test_an_escalation_does_not_wait_for_the_lower_levels_cooldown(*, crashing: bool) -> None:
    site = CommandedSite(
        "{alert: A, expr: t, levels: {warning: {above: 10}, critical: {above: 20}},"
        " commands: [{name: fan, on: [firing, escalated], cooldown: 1h}]}",
        crashing=crashing,
    )
    assert [site.read(second, t=t) for second, t in enumerate((15, 25, 15, 25))] == [["fan"], ["fan"], [], []]


def test_without_notices_a_device_still_gets_its_commands() -> None:
    site = pumping(crashing=False, rule=", notify_device: false")
    assert site.read(3, level=1) == ["pump"]
    assert site.notices == []


def test_a_restart_sends_what_is_unconfirmed_again_by_number_and_nothing_that_was_overtaken() -> None:
    confirm = "confirm: {within: 30s}"
    site = CommandedSite(
        "{alert: Gas, expr: gas, above: 10, commands: [{name: close}, {name: horn}]}",
        f"{{alert: Warm, expr: t, above: 10, commands: [{{name: fan, {confirm}}}]}}",
        "{alert: Fire, expr: t, above: 50, severity: critical, commands: [{name: stop}]}",
    )
    assert site.read(0, gas=20, t=20) == ["close", "horn", "fan"]
    assert site.read(1, t=60) == ["stop"]
    site.ack(2, site.sent[1])
    messages = [one for one in restored(site.pipeline).restart_messages() if one.kind is MessageKind.COMMAND]
    again = [control_messages.decode_command(message.payload) for message in messages]
    first = {command.name: command for command in site.sent}
    assert [(one.name, one.id, one.n) for one in again] == [
        (name, first[name].id, first[name].n) for name in ("close", "stop")
    ]
    assert all(message.doubtful for message in messages)


def test_commands_of_an_alert_that_a_retired_device_leaves_are_closed() -> None:
    site = CommandedSite(PUMP % ("", ""), limits={"retire_after": "1h"})
    assert site.read(0, level=12) == ["pump"]
    assert [name for hours in range(1, 30) for name in site.tick(hours * 3_600)] == ["pump"]
    assert site.sent[-1].args == {"on": False}
    assert site.pipeline.commands.snapshot()["last_n"] == {}
