"""Runs in front of a user: signals end them in order, and the live line is shown or not."""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import pytest

from fleet_console import interrupts
from fleet_sim.cli import watching
from fleet_sim.cli.watching import run_watched
from fleet_sim.devices.counters import Snapshot
from fleet_sim.recordings.replay import ReplayRun
from fleet_sim.runtime.deployment import RunResult
from tests.sim.results import result, snapshot


@dataclass
class SignalledRun:
    """Shows one snapshot, sends itself a signal, and ends with the reason it was stopped for."""

    number: signal.Signals
    reason: str = "finished"
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    on_second: Callable[[Snapshot], None] = print
    hurried: bool = False
    slow: float = 0.0

    def stop(self, reason: str, *, hurry: bool) -> None:
        self.reason, self.hurried = reason, hurry
        self.stopped.set()

    async def run(self) -> RunResult:
        self.on_second(snapshot())
        os.kill(os.getpid(), self.number)
        await self.stopped.wait()
        await asyncio.sleep(self.slow)
        return result(self.reason)


@pytest.mark.parametrize(
    ("number", "reason"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")]
)
def test_a_signal_ends_the_run_in_order_and_its_handler_goes_with_it(
    number: signal.Signals, reason: str
) -> None:
    before = signal.getsignal(number)
    try:
        assert run_watched(cast("ReplayRun", SignalledRun(number)), quiet=True).reason == reason
        after = signal.getsignal(number)
    finally:
        signal.signal(number, before)
    assert after in (signal.SIG_DFL, interrupts._end), "a second signal ends the process at once"


@pytest.mark.parametrize("quiet", [False, True])
def test_the_live_line_is_shown_unless_quiet(quiet: bool, capsys: pytest.CaptureFixture[str]) -> None:
    run_watched(cast("ReplayRun", SignalledRun(signal.SIGTERM)), quiet=quiet)
    assert ("1000 of 1000 connected" in capsys.readouterr().out) is not quiet


@pytest.mark.parametrize("slow", [0.0, 0.2])
def test_a_run_that_does_not_end_at_once_says_why(
    slow: float, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "PATIENCE", 0.01 if slow else 60.0)
    run_watched(cast("ReplayRun", SignalledRun(signal.SIGINT, slow=slow)), quiet=True)
    assert ("Ctrl-C again ends at once" in capsys.readouterr().err) is bool(slow)
