"""The demo's output: a line for each event, and between them a live line, which is repeated if there is no terminal."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

PLAIN_EVERY = 5.0


class Narrator:
    """Prints events with the second they happen at."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._begin = time.monotonic()
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
        return time.monotonic() - self._begin

    def begin(self) -> None:
        """Count seconds from now."""
        self._begin = time.monotonic()

    def tell(self, text: str, style: str = "") -> None:
        """Print an event."""
        self.console.print(
            Text(f"{self.seconds:4.0f} s  ", style="dim") + Text(text, style=style), soft_wrap=True
        )

    def show(self, line: str) -> None:
        """Replace the live line."""
        if self._live is not None:
            self._live.update(Text(f"{self.seconds:4.0f} s  {line}", style="cyan"), refresh=True)
        elif time.monotonic() - self._shown >= PLAIN_EVERY:
            self._shown = time.monotonic()
            self.tell(line)

    def draw(self, text: str) -> None:
        """Print several lines as they are."""
        self.console.print(Text(text), soft_wrap=True)


def chart(values: list[float], limit: float, *, width: int = 60, height: int = 8, title: str = "") -> str:
    """Return a small chart of `values` over time, the newest on the right, with a line at `limit`."""
    shown = values[-width:]
    low, high = min([*shown, limit]) - 1, max([*shown, limit]) + 1
    step = (high - low) / height
    rows = []
    for row in range(height, 0, -1):
        bottom = low + (row - 1) * step
        blank = "╌" if bottom <= limit < bottom + step else " "
        marks = "".join("●" if bottom <= value < bottom + step else blank for value in shown)
        rows.append(f"  {bottom + step / 2:7.1f} │{marks.ljust(width, blank)}│")
    return "\n".join([f"  {title}", *rows])


def result_table(rows: list[tuple[str, str, bool]]) -> Table:
    """Return a table of (claim, finding, whether it is true)."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for name, found, true in rows:
        mark = Text("true", style="green") if true else Text("FALSE", style="bold red")
        table.add_row(mark, name, found)
    return table
