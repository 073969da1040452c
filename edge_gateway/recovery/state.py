"""The fold's state as a checkpoint holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from edge_gateway.fleet.registry import with_all_devices_changed
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.settings import FoldSettings, build_pipeline
from edge_gateway.journal.checkpoint import FORMAT
from edge_gateway.recovery.checkpoint_upgrades import upgraded
from edge_gateway.status.clock import BUILT

MOST_SET_BACK: Final = 5_000
"""Milliseconds: a clock that is this little behind the newest input was adjusted, not set."""


@dataclass(slots=True)
class State:
    """The fold, and what a checkpoint holds beside it. Times in ms.

    Attributes:
        wall: the newest wall time that an input had.
        monotonic: the newest monotonic time that an input had; the next run goes on from there.
        wall_then: the wall time at `monotonic`; earlier than `wall` where the clock was set back.
    """

    gateway: str
    settings: FoldSettings
    pipeline: Pipeline
    listening: int = 0
    wall: int = BUILT
    monotonic: int = 0
    wall_then: int = BUILT

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
            "monotonic": self.monotonic,
            "wall_then": self.wall_then,
            "fold": self.pipeline.snapshot(),
        }

    def restore(self, tree: dict[str, Any]) -> None:
        """Restore what `snapshot` returned, with the settings of that time."""
        tree = upgraded(tree)
        self._become(FoldSettings.from_plain(tree["settings"]), tree["fold"])
        self.listening, self.wall = tree["listening"], tree["wall"]
        self.monotonic, self.wall_then = tree["monotonic"], tree["wall_then"]

    def note_time(self, wall: int, monotonic: int) -> None:
        """Note the time of an input or a checkpoint. A run without a trusted clock may have had earlier wall times."""
        self.wall = max(self.wall, wall)
        self.monotonic, self.wall_then = monotonic, wall

    def stopped_for(self, wall: int, *, trusted: bool) -> int | None:
        """Return for how long (ms) the gateway was stopped if it starts at `wall`; None if that is not known.

        It is known where the clock was right before and after: where it is earlier now, it was not.
        """
        passed = wall - self.wall_then
        return max(0, passed) if trusted and passed >= -MOST_SET_BACK else None

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
