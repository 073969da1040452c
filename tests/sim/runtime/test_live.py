"""The line that shows a run while it goes."""

import io

import pytest
from rich.console import Console

from fleet_sim.devices.pacing import Percentiles
from fleet_sim.runtime.live import LiveView, figures, line
from tests.sim.results import snapshot


def test_the_live_line() -> None:
    assert (
        line(snapshot())
        == "12s  1000 of 1000 connected  200.0 messages/s  PUBACK p99 4.1 ms  lag p99 0.8 ms  commands 3"
    )
    assert line(snapshot(waiting=7, overruns=2, commands=0, gave_up=1)).endswith(
        "lag p99 0.8 ms  overruns 2  buffered 7  gave up 1"
    )
    nothing = Percentiles.of(())
    assert line(snapshot(up=0, ack_now=nothing, lag_now=nothing, connections_lost=9)).endswith(
        "PUBACK p99 none  lag p99 none  commands 3  connections lost 9"
    ), "what was not measured is not 0 ms"
    assert line(snapshot()) == f"12s  {figures(snapshot())}", "a program with a clock of its own shows one"


@pytest.mark.parametrize(
    ("terminal", "quiet", "shown"), [(False, False, 2), (True, False, 1), (True, True, 0)]
)
def test_snapshots_are_lines_and_on_a_terminal_one_line(terminal: bool, quiet: bool, shown: int) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120)
    with LiveView(console, quiet=quiet) as view:
        view.show(snapshot())
        view.show(snapshot(waiting=7))
    assert ("1000 of 1000 connected" in out.getvalue()) == bool(shown)
    assert out.getvalue().count("commands 3\n") == (1 if shown == 2 else 0)
    assert ("buffered 7" in out.getvalue()) == bool(shown)


def test_quiet_shows_nothing_elsewhere_either() -> None:
    out = io.StringIO()
    with LiveView(Console(file=out, force_terminal=False), quiet=True) as view:
        view.show(snapshot())
    assert not out.getvalue()
