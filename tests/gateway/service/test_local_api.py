"""What a running gateway answers on its local socket, malformed requests included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.service.local_api import LocalApi
from edge_gateway.service.muting_requests import MutingRequests
from edge_gateway.service.operators import Operators
from edge_gateway.service.rule_questions import RuleQuestions


class Asked:
    """Operators that do nothing."""

    async def reload(self) -> str:
        return "0 rules"

    async def forget(self, request: Mapping[str, Any]) -> str:
        return f"forgotten: {request['device']}"

    async def confirm_clock(self) -> str:
        return "confirmed"


class AskedOfRules:
    """Rules that answer with what they were asked."""

    def in_force(self) -> list[dict[str, Any]]:
        return [{"name": "Hot"}, {"name": "Cold"}]

    def explain(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [{"rule": request["rule"], "device": request["device"]}]

    def try_rules(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [{"rule": each} for each in request["rules"]]


class AskedOfMuting:
    """Silences that are only listed and counted."""

    async def add_silence(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return {"id": 1, "match": request["match"]}

    async def end_silence(self, request: Mapping[str, Any]) -> str:
        return f"ended: {request['silence']}"

    async def acknowledge(self, request: Mapping[str, Any]) -> str:
        return f"acknowledged: {request['alert']}"

    def silences(self) -> list[dict[str, Any]]:
        return [{"id": 1}]

    def unacknowledged(self) -> Iterator[dict[str, Any]]:
        return iter([{"id": "a1"}])


def api() -> LocalApi:
    return LocalApi(
        status=lambda: {"state": "online"},
        devices=lambda wanted: iter([{"device": name} for name in ("a", "b") if wanted in (None, name)]),
        alerts=lambda: [{"rule": "r"}],
        operators=cast("Operators", Asked()),
        rules=cast("RuleQuestions", AskedOfRules()),
        muting=cast("MutingRequests", AskedOfMuting()),
        config=GatewayConfig.model_validate({"mqtt": {"url": "mqtt://localhost"}}),
    )


async def test_known_requests_are_answered() -> None:
    assert await api()({"do": "status"}) == {"state": "online"}
    assert list(await api()({"do": "devices", "device": "b"})) == [{"device": "b"}]
    assert list(await api()({"do": "devices", "device": None})) == [{"device": "a"}, {"device": "b"}]
    assert (await api()({"do": "settings"}))["values"]["mqtt.url"] == "mqtt://localhost"
    assert await api()({"do": "reload"}) == "0 rules"
    assert await api()({"do": "confirm_clock"}) == "confirmed"
    assert await api()({"do": "forget", "device": "b"}) == "forgotten: b"


async def test_rules_come_one_by_one_as_they_were_when_they_were_asked_for() -> None:
    answer = await api()({"do": "rules"})
    assert not isinstance(answer, list)
    assert list(answer) == [{"name": "Hot"}, {"name": "Cold"}]
    assert list(await api()({"do": "explain", "rule": "r", "device": "d"})) == [{"rule": "r", "device": "d"}]
    assert list(await api()({"do": "try_rules", "rules": ["a", "b"]})) == [{"rule": "a"}, {"rule": "b"}]


async def test_silences_and_acknowledgements_are_passed_on() -> None:
    assert await api()({"do": "silence", "match": {}}) == {"id": 1, "match": {}}
    assert await api()({"do": "silences"}) == [{"id": 1}]
    assert await api()({"do": "end_silence", "silence": 1}) == "ended: 1"
    assert await api()({"do": "acknowledge", "alert": "a1"}) == "acknowledged: a1"
    assert list(await api()({"do": "unacknowledged"})) == [{"id": "a1"}]


async def test_alerts_come_one_by_one_since_thousands_fit_into_no_line() -> None:
    answer = await api()({"do": "alerts"})
    assert not isinstance(answer, list)
    assert list(answer) == [{"rule": "r"}]


@pytest.mark.parametrize(
    "do", [None, 5, True, [], ["status"], {}, {"do": "status"}, "", "x" * 1_000_000, "\x1b[2J"]
)
async def test_an_unknown_request_is_told_the_known_ones(do: Any) -> None:
    with pytest.raises(
        ValueError, match=r"^unknown request '.{0,80}'; known: status, devices, alerts, settings, reload"
    ):
        await api()({"do": do})


async def test_a_request_is_suggested() -> None:
    with pytest.raises(ValueError, match="did you mean 'status'"):
        await api()({"do": "statsu"})


@pytest.mark.parametrize("device", [5, True, [], {}, ["a"]])
async def test_a_device_must_be_text(device: Any) -> None:
    with pytest.raises(ValueError, match="'device' must be a text"):
        await api()({"do": "devices", "device": device})
