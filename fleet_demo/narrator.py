"""The demo's output: a line for each event, and between them a live line, which is repeated if there is no terminal."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from fleet_console.drawing import Styled, Table, draw

PLAIN_EVERY = 5.0
WIDEST_CHART = 60
CHART_ROWS = 8
NO_TIME = " " * len("  12 s")
"""In place of the second of an event: before the story, and beside what adds to an event."""


class Narrator:
    """Prints events with the second they happen at."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._begin: float | None = None
        self._live = (
            Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        )
        self._shown = 0.0

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def seconds(self) -> float:
        """Seconds since `begin`; 0 before."""
        return 0.0 if self._begin is None else time.monotonic() - self._begin

    def begin(self) -> None:
        """Count seconds from now."""
        self._begin = time.monotonic()

    def tell(self, text: str, style: str = "") -> None:
        """Print an event, with its second from `begin` on."""
        self._print(NO_TIME if self._begin is None else self._clock(), text, style)

    def add(self, text: str) -> None:
        """Print more about the last event, below it."""
        self._print(NO_TIME, text)

    def _clock(self) -> str:
        return f"{self.seconds:4.0f} s"

    def _print(self, when: str, text: str, style: str = "") -> None:
        """Print a text beside its time; on a terminal it wraps between words, and stays beside it."""
        row = Table(("", ""))
        row.add(Styled(when, "dim"), Styled(text, style))
        draw(self.console, row)

    def show(self, line: str) -> None:
        """Replace the live line."""
        if self._live is not None:
            self._live.update(Text(f"{self._clock()}  {line}", style="cyan"), refresh=True)
        elif time.monotonic() - self._shown >= PLAIN_EVERY:
            self._shown = time.monotonic()
            self.tell(line)

    def chart(self, values: list[float], limit: float, *, title: str) -> None:
        """Print a chart of `values`, as wide as the terminal allows."""
        self.add(title)
        width = min(WIDEST_CHART, self.console.width - len(_axis(0.0)) - 1)
        self.console.print(Text(chart(values, limit, width=width)), soft_wrap=True)


def chart(values: list[float], limit: float, *, width: int = WIDEST_CHART) -> str:
    """Return a small chart of `values` over time, the newest on the right, with a line at `limit`."""
    shown = values[-width:]
    low, high = min([*shown, limit]) - 1, max([*shown, limit]) + 1
    step = (high - low) / CHART_ROWS
    rows = []
    for row in range(CHART_ROWS, 0, -1):
        bottom = low + (row - 1) * step
        blank = "╌" if bottom <= limit < bottom + step else " "
        marks = "".join("●" if bottom <= value < bottom + step else blank for value in shown)
        rows.append(f"{_axis(bottom + step / 2)}{marks.ljust(width, blank)}│")
    return "\n".join(rows)


def _axis(value: float) -> str:
    return f"  {value:7.1f} │"


def result_table(rows: list[tuple[str, str, bool]]) -> Table:
    """Return a table of (claim, finding, whether it is true)."""
    table = Table(("", "", ""))
    for name, found, true in rows:
        table.add(Styled("true", "green") if true else Styled("FALSE", "bold red"), name, found)
    return table
