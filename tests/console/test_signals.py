"""Ctrl-C and SIGTERM of a process: at once, or as a program asked for; never lost."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

LOST = """
import signal, sys
from fleet_console import interrupts

interrupts.end_at_once()

class Ends:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

Ends()  # an exception in the end of an object goes nowhere
sys.exit(7)
"""
HEARD = """
import asyncio, signal
from fleet_console import interrupts
from fleet_console.signals import ended_by

interrupts.end_at_once()

async def work():
    over = asyncio.Event()
    heard = []
    def act(number):
        heard.append(number)
        over.set()
    with ended_by(act):
        signal.raise_signal(signal.{0})
        print("goes on", flush=True)
        await over.wait()
    print(*heard, flush=True)
    signal.raise_signal(signal.{0})
    print("never said")

asyncio.run(work())
"""
IGNORED = """
import asyncio, signal
from fleet_console import interrupts
from fleet_console.signals import ended_by

async def work():
    with ended_by(print):
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(0.01)

signal.signal(signal.SIGINT, signal.SIG_IGN)
interrupts.end_at_once()
asyncio.run(work())
signal.raise_signal(signal.SIGINT)
"""


def ran(code: str) -> tuple[int, list[str], str]:
    """The status of a process and what it wrote."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_an_interrupt_works_where_an_exception_would_be_lost() -> None:
    assert ran(LOST) == (130, [], "")


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", -signal.SIGTERM)])
def test_a_program_can_end_in_order(name: str, status: int) -> None:
    number = int(getattr(signal, name))
    assert ran(HEARD.format(name)) == (status, ["goes on", str(number)], "")


def test_an_ignored_signal_stays_ignored() -> None:
    assert ran(IGNORED) == (0, [], "")
