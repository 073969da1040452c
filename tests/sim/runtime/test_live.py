"""The line that shows a run while it goes."""

from fleet_sim.runtime.live import line
from tests.sim.results import snapshot


def test_the_live_line() -> None:
    assert (
        line(snapshot()) == "12s  up 1000/1000  pub 200.0/s  ack p99 4.1ms  cmd 3  lag p99 0.8ms  overrun 0"
    )
    assert line(snapshot(waiting=7)).endswith("overrun 0  buffered 7")
