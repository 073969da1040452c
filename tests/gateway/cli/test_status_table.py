"""The status report as a person reads it."""

from edge_gateway.cli.status_table import status_view
from tests.gateway.cli.test_tables import AT, STATUS, looked_at


def test_the_status_tells_a_problem_of_several_lines_in_several() -> None:
    lines = looked_at(status_view(STATUS))
    assert lines[-3:] == ["! rules: a.yaml:1:1: [/red]", "    b.yaml:2:1: \\x1b[2J", "! other: "]
    assert looked_at(status_view({**STATUS, "problems": []}))[-1] == "no problems"


def test_the_status_tells_times_of_a_sink_as_times() -> None:
    sink = {"waiting": {"lines": 5_000, "oldest": AT}, "waiting_until": AT + 90_000, "requests": 1}
    told = " ".join(looked_at(status_view({**STATUS, "sinks": {"influx": sink}})))
    assert "waiting lines 5,000, waiting oldest 2026-09-21 14:13:20.123Z" in told
    assert "waiting_until 2026-09-21 14:14:50.123Z" in told
