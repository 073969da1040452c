"""The fold's state as a checkpoint holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge_gateway.fleet.registry import with_all_devices_changed
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.settings import FoldSettings, build_pipeline
from edge_gateway.journal.checkpoint import FORMAT
from edge_gateway.records.inputs import Moment
from edge_gateway.recovery.checkpoint_upgrades import upgraded
from edge_gateway.status.clock import BUILT


@dataclass(slots=True)
class State:
    """The fold, and what a checkpoint holds beside it. Times in ms."""

    gateway: str
    settings: FoldSettings
    pipeline: Pipeline
    listening: int = 0
    wall: int = BUILT
    """The newest wall time that was believed."""
    least: int = BUILT
    """The least the time was when the newest input was folded."""
    aged: int = BUILT
    """The time by which data was old enough to be removed; see `MachineClock`."""

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
            "fold": self.pipeline.snapshot(),
        }

    def restore(self, tree: dict[str, Any]) -> None:
        """Restore what `snapshot` returned, with the settings of that time."""
        tree = upgraded(tree)
        self._become(FoldSettings.from_plain(tree["settings"]), tree["fold"])
        self.listening, self.wall = tree["listening"], tree["wall"]
        self.least, self.aged = tree["least"], tree["aged"]

    def folded(self, moment: Moment) -> None:
        """Note when an input was folded."""
        self.listening = moment.listening
        if moment.least is not None or moment.trusted:
            self.least = moment.at_least
        if moment.trusted:
            self.wall = max(self.wall, moment.wall) if moment.least is not None else moment.wall
        elif moment.wall >= self.wall:  # not behind: outvoted, so it was wrong before
            self.wall = self.least

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
