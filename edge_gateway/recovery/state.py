"""The fold's state as a checkpoint holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge_gateway.fleet.registry import with_all_devices_changed
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.settings import FoldSettings, build_pipeline
from edge_gateway.journal.checkpoint import FORMAT
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
            "fold": self.pipeline.snapshot(),
        }

    def restore(self, tree: dict[str, Any]) -> None:
        """Restore what `snapshot` returned, with the settings of that time."""
        tree = upgraded(tree)
        self._become(FoldSettings.from_plain(tree["settings"]), tree["fold"])
        self.listening, self.wall = tree["listening"], tree["wall"]

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
