"""The fold's state as a checkpoint holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from edge_gateway.fleet.registry import with_all_devices_changed
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.settings import FoldSettings, build_pipeline
from edge_gateway.journal.checkpoint import FORMAT
from edge_gateway.records.inputs import Moment
from edge_gateway.status.clock import BUILT, MachineClock

MOST_SET_BACK: Final = 5_000
"""Milliseconds: a clock that is this little behind the newest input was adjusted, not set."""


@dataclass(slots=True)
class State:
    """The fold, and what a checkpoint holds beside it. Times in ms.

    Attributes:
        wall: the newest wall time that was believed.
        least: the least the time was when the newest input was folded.
        aged: the time by which data was old enough to be removed; see `MachineClock`.
        monotonic: the newest monotonic time that an input had; the next run goes on from there.
        wall_then: the wall time at `monotonic`, earlier than `wall` where the clock was set back; None if the clock was
            not believed then.
    """

    gateway: str
    settings: FoldSettings
    pipeline: Pipeline
    listening: int = 0
    wall: int = BUILT
    least: int = BUILT
    aged: int = BUILT
    monotonic: int = 0
    wall_then: int | None = BUILT

    @classmethod
    def new(cls, gateway: str, settings: FoldSettings) -> State:
        return cls(gateway, settings, build_pipeline(gateway, settings))

    def snapshot(self) -> dict[str, Any]:
        """Return everything, as a tree of copies."""
        return {
            "format": FORMAT,
            "settings": self.settings.as_plain(),
            "listening": self.listening,
            "wall": self.wall,
            "least": self.least,
            "aged": self.aged,
            "monotonic": self.monotonic,
            "wall_then": self.wall_then,
            "fold": self.pipeline.snapshot(),
        }

    def restore(self, tree: dict[str, Any]) -> None:
        """Restore what `snapshot` returned, with the settings of that time."""
        self.listening, self.wall = tree["listening"], tree["wall"]
        self.least, self.aged = tree["least"], tree["aged"]
        self.monotonic, self.wall_then = tree["monotonic"], tree["wall_then"]
        self._become(FoldSettings.from_plain(tree["settings"]), tree["fold"])

    def folded(self, moment: Moment) -> None:
        """Note when an input was folded."""
        self.listening = moment.listening
        if moment.least is not None or moment.trusted:
            self.least = moment.at_least
        if moment.trusted:
            self.wall = max(self.wall, moment.wall) if moment.least is not None else moment.wall
        elif moment.wall >= self.wall:  # not behind: outvoted, so it was wrong before
            self.wall = self.least
        if moment.monotonic >= self.monotonic:  # a message out of the quarantine may have arrived earlier
            self._note_monotonic(moment.monotonic, moment.wall, trusted=moment.trusted)

    def note_clock(self, clock: MachineClock) -> None:
        """Note the time now, for a checkpoint."""
        now = clock.read()
        self.wall, self.least, self.aged = clock.seen, clock.least, clock.aged
        self._note_monotonic(clock.monotonic(), now.wall, trusted=now.trusted)

    def _note_monotonic(self, monotonic: int, wall: int, *, trusted: bool) -> None:
        self.monotonic, self.wall_then = monotonic, wall if trusted else None

    def stopped_for(self, wall: int, *, trusted: bool) -> int | None:
        """Return for how long (ms) the gateway was stopped if it starts at `wall`; None if that is not known.

        It is known where the clock was right before and after: where it is earlier now, it was not.
        """
        if self.wall_then is None or not trusted or wall < self.wall_then - MOST_SET_BACK:
            return None
        return max(0, wall - self.wall_then)

    def take_over(self, settings: FoldSettings) -> None:
        """Switch to other settings. Devices whose site was added or removed are checked again."""
        fold = self.pipeline.snapshot()
        if settings.sites != self.settings.sites:
            fold["registry"] = with_all_devices_changed(fold["registry"])
        self._become(settings, fold)

    def _become(self, settings: FoldSettings, fold: dict[str, Any]) -> None:
        self.settings = settings
        self.pipeline = build_pipeline(self.gateway, settings)
        self.pipeline.restore(fold)
        self.pipeline.registry.set_clock(self.listening)
