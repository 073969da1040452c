"""Requests to InfluxDB's management API: how its answers are read, and what its refusals become."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from edge_gateway.errors import BadInput, CannotReach
from edge_gateway.sinks.influx.setup.server import Stack, Target, connected

ORGS = {"orgs": [{"id": "0a"}]}
NO_ANSWER = (404, "not found")


class Api:
    """Answers by method and path with JSON, or with a status and text; keeps the bodies it was sent."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], Any] = {("GET", "/api/v2/orgs"): ORGS}
        self.bodies: list[Any] = []
        self.url = ""

    async def respond(self, request: web.Request) -> web.Response:
        if request.can_read_body:
            self.bodies.append(await request.json())
        answer = self.answers.get((request.method, request.path), NO_ANSWER)
        if isinstance(answer, tuple):
            return web.Response(status=answer[0], text=answer[1])
        return web.json_response(answer)

    @property
    def target(self) -> Target:
        return Target(self.url, "fleet", "secret")


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    found = Api()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.respond)
    async with TestServer(app) as server:
        found.url = str(server.make_url("")).rstrip("/")
        yield found


def stored(number: str, made: str, **more: Any) -> dict[str, Any]:
    return {"id": number, "createdAt": made, "eventType": "create", "resources": None, **more}


async def test_the_oldest_stack_is_the_gateways(api: Api) -> None:
    api.answers["GET", "/api/v2/stacks"] = {
        "stacks": [
            stored("03", "2026-01-01T00:00:01Z"),
            stored("02", "2026-01-01T00:00:00.5Z"),
            stored("01", "2026-01-01T00:00:00.25Z"),
            stored("00", "2025-01-01T00:00:00Z", eventType="uninstall"),
        ]
    }
    async with connected(api.target) as server:
        assert [stack.id for stack in await server.stacks()] == ["01", "02", "03"]
        assert (await server.stack()).id == "01"


async def test_no_stack_is_an_empty_one(api: Api) -> None:
    api.answers["GET", "/api/v2/stacks"] = {"stacks": None}
    async with connected(api.target) as server:
        assert await server.stack() == Stack()


async def test_digests_survive_in_the_description_until_a_user_replaces_it(api: Api) -> None:
    applied = {"Bucket telemetry": "0123456789ab"}
    api.answers["PATCH", "/api/v2/stacks/01"] = {}
    async with connected(api.target) as server:
        await server.note_applied("01", applied)
        for description, digests in ((api.bodies[-1]["description"], applied), ("mine", {}), (None, {})):
            stack = stored("01", "2026-01-01T00:00:00Z", description=description)
            api.answers["GET", "/api/v2/stacks"] = {"stacks": [stack]}
            assert (await server.stack()).applied == digests


async def test_a_resource_that_is_gone_is_none_and_removing_it_is_no_error(api: Api) -> None:
    async with connected(api.target) as server:
        assert await server.resource("Bucket", "0b") is None
        assert await server.resource("Label", "0b") is None
        await server.remove("Dashboard", "0b")
        with pytest.raises(BadInput, match="a kind this program does not know: remove it"):
            await server.resource("Secret", "0b")


@pytest.mark.parametrize(
    ("status", "text", "error", "told"),
    [
        (
            401,
            '{"code": "unauthorized", "message": "unauthorized access"}',
            BadInput,
            "may not manage 'fleet'",
        ),
        (500, '{"message": "unauthorized access"}', BadInput, "may not manage 'fleet'"),
        (422, '{"message": "bucket name is not unique"}', BadInput, "another apply may be running"),
        (
            422,
            '{"errors": [{"kind": "Bucket", "fields": ["name"], "reason": "short"}]}',
            BadInput,
            "Bucket .*short",
        ),
        (400, '{"odd": 1}', BadInput, "rejects this"),
        (503, "<html>busy</html>", CannotReach, "failed .503: busy"),
        (200, "<html>", CannotReach, "is not InfluxDB 2"),
        (200, "[]", CannotReach, "is not InfluxDB 2"),
    ],
)
async def test_a_refusal_is_bad_input_or_a_server_out_of_reach(
    api: Api, status: int, text: str, error: type[Exception], told: str
) -> None:
    api.answers["POST", "/api/v2/stacks"] = (status, text)
    async with connected(api.target) as server:
        with pytest.raises(error, match=told):
            await server.make_stack()


async def test_an_organisation_that_the_token_does_not_see_is_named(api: Api) -> None:
    api.answers["GET", "/api/v2/orgs"] = {"orgs": []}
    async with connected(api.target) as server:
        with pytest.raises(BadInput, match="does not see the organisation 'fleet'"):
            await server.stacks()


async def test_a_server_that_does_not_answer_is_out_of_reach() -> None:
    async with connected(Target("http://127.0.0.1:1", "fleet", "secret")) as server:
        with pytest.raises(CannotReach, match="does not answer"):
            await server.stacks()
