"""What an authorised operator asks of a running gateway, over MQTT or the local socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edge_gateway.fleet.registry import Registry
from edge_gateway.fold.forget import forget_answer, forget_input
from edge_gateway.service.engine import Engine
from edge_gateway.service.rules_watch import RulesWatch
from fleet_config.problems import ProblemsFound


@dataclass(frozen=True, slots=True)
class Operators:
    """Carries out requests; each raises ValueError where it cannot be done, and says why."""

    rules: RulesWatch
    publish_status: Callable[[], None]
    registry: Registry
    engine: Engine

    async def __call__(self, do: str, args: Mapping[str, Any]) -> str:
        """Carry out what came over MQTT; returns the detail of the answer."""
        if do == "reload":
            return await self.reload()
        if do == "report":
            self.publish_status()
            return "published"
        if do == "forget":
            return await self.forget(args)
        raise ValueError(f"unknown operation {do!r}; known: reload, report, forget")

    async def reload(self) -> str:
        """Read the rule files now."""
        try:
            return await self.rules.load()
        except (ProblemsFound, OSError) as error:
            raise ValueError(str(error)) from error

    async def forget(self, args: Mapping[str, Any]) -> str:
        """Let a device, or one metric of it, begin anew; it is on disk when this returns."""
        asked = forget_input(self.registry, self.engine.moment(), args)
        self.engine.fold(asked)
        await self.engine.durable(self.engine.newest)
        return forget_answer(asked)
