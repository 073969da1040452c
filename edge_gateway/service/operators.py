"""Operators' requests to a running gateway, over MQTT or the local socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from edge_gateway.fleet.admission import Admission
from edge_gateway.fold.forget import forget_answer, forget_input
from edge_gateway.service.engine import Engine
from edge_gateway.service.rules_watch import RulesWatch
from fleet_config.problems import ProblemsFound, quoted
from fleet_wire.local_socket import asking_user
from fleet_wire.printable import printable


@dataclass(frozen=True, slots=True)
class Operators:
    """Carries out requests; each raises ValueError, with the reason, if it cannot."""

    rules: RulesWatch
    publish_status: Callable[[], None]
    admission: Admission
    engine: Engine

    async def __call__(self, do: str, args: Mapping[str, Any]) -> str:
        """Carry out a request received over MQTT; return the detail of the reply."""
        if do == "reload":
            return await self.reload()
        if do == "report":
            self.publish_status()
            return "published"
        if do == "forget":
            return await self.forget(args)
        raise ValueError(f"unknown operation {quoted(printable(do))}; known: reload, report, forget")

    async def reload(self) -> str:
        """Load the rule files now; return a summary."""
        try:
            return await self.rules.load()
        except (ProblemsFound, OSError) as error:
            raise ValueError(str(error)) from error

    async def confirm_clock(self) -> str:
        """Believe the machine's clock as it is; on return this is on disk."""
        at = self.engine.confirm_clock().wall
        await self.engine.durable(self.engine.newest)
        return f"the gateway takes {_stamp(at)} for the right time"

    async def forget(self, args: Mapping[str, Any]) -> str:
        """Reset a device, or one of its metrics, or forget a publisher's trouble; on return this is on disk."""
        registry, strangers = self.admission.registry, self.admission.watch.troubles.names()
        by = asking_user() or "an operator over MQTT"
        asked = forget_input(registry, self.engine.moment(), args, strangers, by)
        stranger = registry.find(asked.device) is None
        self.engine.fold(asked)
        await self.engine.durable(self.engine.newest)
        return forget_answer(asked, stranger=stranger)


def _stamp(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
