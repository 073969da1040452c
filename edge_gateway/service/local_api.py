"""Requests of the CLI and the web page to a running gateway, over its local socket; they have no other access."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edge_gateway.configuration.in_force import in_force
from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.service.muting_requests import MutingRequests
from edge_gateway.service.operators import Operators
from edge_gateway.service.rule_questions import RuleQuestions
from fleet_config.problems import suggest
from fleet_wire.local_socket import RequestFailed
from fleet_wire.printable import printable


@dataclass(frozen=True, slots=True)
class LocalApi:
    """Answers requests `{"do": …}`; ValueError says what is wrong with a request."""

    status: Callable[[], dict[str, Any]]
    devices: Callable[[str | None], Iterator[dict[str, Any]]]
    alerts: Callable[[], list[dict[str, Any]]]
    operators: Operators
    rules: RuleQuestions
    muting: MutingRequests
    config: GatewayConfig

    async def __call__(self, request: Mapping[str, Any]) -> Any:
        answers: dict[str, Callable[[Mapping[str, Any]], Awaitable[Any]]] = {
            "status": self._status,
            "devices": self._devices,
            "alerts": self._alerts,
            "settings": self._settings,
            "reload": self._reload,
            "forget": self.operators.forget,
            "confirm_clock": self._confirm_clock,
            "rules": self._rules,
            "explain": self._explain,
            "try_rules": self._try_rules,
            "silence": self.muting.add_silence,
            "silences": self._silences,
            "end_silence": self.muting.end_silence,
            "acknowledge": self.muting.acknowledge,
            "unacknowledged": self._unacknowledged,
        }
        wanted = request.get("do")
        if not isinstance(wanted, str) or wanted not in answers:
            raise ValueError(
                f"unknown request '{printable(wanted, 40)}'; known: {', '.join(answers)}{suggest(wanted, answers)}"
            )
        return await answers[wanted](request)

    async def _status(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return self.status()

    async def _devices(self, request: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
        wanted = request.get("device")
        if not (wanted is None or isinstance(wanted, str)):
            raise ValueError("'device' must be a text, or be left out")
        return self.devices(wanted)

    async def _alerts(self, _: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
        return iter(self.alerts())  # one by one: thousands would exceed the length of a line

    async def _rules(self, _: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
        return iter(self.rules.in_force())

    async def _explain(self, request: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
        return iter(self.rules.explain(request))

    async def _try_rules(self, request: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
        return iter(self.rules.try_rules(request))

    async def _silences(self, _: Mapping[str, Any]) -> list[dict[str, Any]]:
        return self.muting.silences()

    async def _unacknowledged(self, _: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
        return self.muting.unacknowledged()

    async def _settings(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return in_force(self.config)

    async def _reload(self, _: Mapping[str, Any]) -> str:
        return await self.operators.reload()

    async def _confirm_clock(self, _: Mapping[str, Any]) -> str:
        return await self.operators.confirm_clock()


@dataclass(slots=True)
class LocalEndpoint:
    """Handler of the local socket from the first moment on: until `api` is set it answers with `message`."""

    message: str = "the gateway is starting: ask again"
    api: LocalApi | None = None

    async def __call__(self, request: Mapping[str, Any]) -> Any:
        if self.api is None:
            raise RequestFailed(self.message)
        return await self.api(request)
