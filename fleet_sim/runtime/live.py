"""The status line of a run: redrawn in place on a terminal, a new line each second elsewhere."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from fleet_sim.devices.counters import Snapshot
from fleet_sim.devices.pacing import Percentiles

__all__ = ["LiveView", "figures", "line"]


def line(snapshot: Snapshot) -> str:
    """Return the state of a run as one line, which begins with its age."""
    return f"{snapshot.seconds:.0f}s  {figures(snapshot)}"


def figures(snapshot: Snapshot) -> str:
    """Return the figures of a run as one line; rates and times are those of the last second."""
    return "  ".join(
        [
            f"{snapshot.up} of {snapshot.devices} connected",
            f"{snapshot.rate:.1f} messages/s",
            f"PUBACK p99 {_p99(snapshot.ack_now)}",
            f"lag p99 {_p99(snapshot.lag_now)}",
            *_where_any("commands", snapshot.commands),
            *_where_any("overruns", snapshot.overruns),
            *_where_any("buffered", snapshot.waiting),
            *_where_any("connections lost", snapshot.connections_lost),
            *_where_any("gave up", snapshot.gave_up),
        ]
    )


def _p99(times: Percentiles) -> str:
    return f"{max(0.0, times.p99) / 1000:.1f} ms" if times.count else "none"


def _where_any(what: str, count: int) -> list[str]:
    return [f"{what} {count}"] if count else []


class LiveView:
    """Shows snapshots on a console; with `quiet` nothing."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._live = (
            Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        )

    def __enter__(self) -> Self:
        if self._live is not None and not self._quiet:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, snapshot: Snapshot) -> None:
        if self._quiet:
            return
        if self._live is not None:
            self._live.update(Text(line(snapshot)), refresh=True)
        else:
            self._console.print(line(snapshot), markup=False, highlight=False, soft_wrap=True)
