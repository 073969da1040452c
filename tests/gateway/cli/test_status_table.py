"""The status report as a person reads it."""

from edge_gateway.cli.status_table import _alerts, status_view
from tests.gateway.cli.test_tables import AT, STATUS, looked_at


def test_the_status_tells_a_problem_of_several_lines_in_several() -> None:
    lines = looked_at(status_view(STATUS))
    assert lines[-3:] == [
        "warning rules since –: a.yaml:1:1: [/red]",
        "    b.yaml:2:1: \\x1b[2J",
        "unheard of other since –: ",
    ]
    assert looked_at(status_view({**STATUS, "problems": []}))[-1] == "no problems"


def test_failures_are_told_apart_without_colours_and_say_since_when() -> None:
    problems = [
        {"code": "disk", "text": "c", "gravity": "failure", "since": AT + 1_000},
        {"code": "rules", "text": "b", "gravity": "failure", "since": AT - 1},
        {"code": "late_share", "text": "a", "gravity": "warning", "since": AT},
    ]
    lines = looked_at(status_view({**STATUS, "problems": problems}))
    assert lines[-3:] == [
        "FAILURE disk since 2026-09-21 14:13:21Z: c",
        "FAILURE rules since 2026-09-21 14:13:20Z: b",
        "warning late_share since 2026-09-21 14:13:20Z: a",
    ]
    assert [line.split(maxsplit=1) for line in lines if line.startswith("problems")] == [
        ["problems", "2 failures, 1 warning"]
    ]


def test_alerts_of_rules_are_not_taken_for_problems() -> None:
    lines = [line.split(maxsplit=2) for line in looked_at(status_view({**STATUS, "problems": []}))]
    assert ["rule", "alerts", "0 firing"] in lines
    assert ["problems", "none"] in lines


def test_the_broker_s_figures_have_units() -> None:
    broker = {"connected": False, "lag": 90_200, "unacknowledged": 3 << 20}
    told = looked_at(status_view({**STATUS, "broker": broker}))
    assert any(line.endswith("NOT CONNECTED, lag 1m30s, 3.0 MiB not acknowledged") for line in told)


def test_the_status_tells_times_of_a_sink_as_times() -> None:
    sink = {"waiting": {"lines": 5_000, "oldest": AT}, "waiting_until": AT + 90_000, "requests": 1}
    told = " ".join(looked_at(status_view({**STATUS, "sinks": {"influx": sink}})))
    assert "lines waiting 5,000, oldest of 2026-09-21 14:13:20.123Z" in told
    assert "next try at 2026-09-21 14:14:50.123Z" in told


def test_how_far_the_clock_is_off_is_a_duration() -> None:
    clock = {"state": "outvoted", "trusted": False, "differ": 4, "off": 259_199_992}
    told = looked_at(status_view({**STATUS, "clock": clock, "spool": {"recovered_in_ms": 1_500}}))
    assert any(
        line.endswith("outvoted, trusted: no, devices that agree on another time 4, off by 3d")
        for line in told
    )
    assert any(line.endswith("last start took 2s") for line in told)


def test_a_gap_of_one_message_is_one_number() -> None:
    ranges = [
        {"device": "d", "boot": 1, "from": 106, "to": 106},
        {"device": "e", "boot": 1, "from": 1, "to": 2},
    ]
    told = looked_at(status_view({**STATUS, "gaps": {"messages": 3, "devices": 2, "ranges": ranges}}))
    assert any(line.endswith("3 messages of 2 devices: d 106, e 1–2") for line in told)


def test_alerts_that_are_muted_or_seen_are_counted_beside_those_that_fire() -> None:
    alerts = {"firing": 1_200, "muted": 3, "acknowledged": 1, "flapping": 0, "silences": 2}
    assert _alerts(alerts) == "1,200 firing, 3 muted, 1 acknowledged, 2 silences"
    assert _alerts({"firing": 0}) == "0 firing"
