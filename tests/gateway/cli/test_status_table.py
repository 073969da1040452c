"""The status report as a person reads it."""

from edge_gateway.cli.status_table import status_view
from tests.gateway.cli.test_tables import AT, STATUS, looked_at


def test_the_status_tells_a_problem_of_several_lines_in_several() -> None:
    lines = looked_at(status_view(STATUS))
    assert lines[-3:] == [
        "warning rules since –: a.yaml:1:1: [/red]",
        "    b.yaml:2:1: \\x1b[2J",
        "unheard of other since –: ",
    ]
    assert looked_at(status_view({**STATUS, "problems": []}))[-1] == "no problems"


def test_failures_come_first_are_told_apart_without_colours_and_say_since_when() -> None:
    problems = [
        {"code": "late_share", "text": "a", "gravity": "warning", "since": AT},
        {"code": "rules", "text": "b", "gravity": "failure", "since": AT - 1},
        {"code": "disk", "text": "c", "gravity": "failure", "since": AT + 1_000},
    ]
    assert looked_at(status_view({**STATUS, "problems": problems}))[-3:] == [
        "FAILURE disk since 2026-09-21 14:13:21Z: c",
        "FAILURE rules since 2026-09-21 14:13:20Z: b",
        "warning late_share since 2026-09-21 14:13:20Z: a",
    ]


def test_the_status_tells_times_of_a_sink_as_times() -> None:
    sink = {"waiting": {"lines": 5_000, "oldest": AT}, "waiting_until": AT + 90_000, "requests": 1}
    told = " ".join(looked_at(status_view({**STATUS, "sinks": {"influx": sink}})))
    assert "waiting lines 5,000, waiting oldest 2026-09-21 14:13:20.123Z" in told
    assert "waiting_until 2026-09-21 14:14:50.123Z" in told


def test_how_far_the_clock_is_off_is_a_duration() -> None:
    clock = {"state": "outvoted", "trusted": False, "differ": 4, "off": 259_199_992}
    told = looked_at(status_view({**STATUS, "clock": clock, "spool": {"recovered_in_ms": 1_500}}))
    assert any(line.endswith("state outvoted, trusted no, differ 4, off 3d") for line in told)
    assert any(line.endswith("recovered_in_ms 1,500") for line in told), "the name has the unit"


def test_a_gap_of_one_message_is_one_number() -> None:
    ranges = [
        {"device": "d", "boot": 1, "from": 106, "to": 106},
        {"device": "e", "boot": 1, "from": 1, "to": 2},
    ]
    told = looked_at(status_view({**STATUS, "gaps": {"messages": 3, "devices": 2, "ranges": ranges}}))
    assert any(line.endswith("3 messages of 2 devices: d 106, e 1–2") for line in told)
