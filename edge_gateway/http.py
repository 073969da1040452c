"""/metrics for Prometheus and /healthz for whoever restarts things, on this machine only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from edge_gateway.errors import BadInput
from edge_gateway.status import Gravity, prometheus

if TYPE_CHECKING:
    from aiohttp import web

Report = Callable[[], dict[str, Any]]


@asynccontextmanager
async def serving(listen: str | None, report: Report) -> AsyncIterator[None]:
    """Serve while the block runs; with None nothing is served. BadInput when the address is taken."""
    if listen is None:
        yield
        return
    from aiohttp import web  # noqa: PLC0415 - half a second of every start, for those who want it

    runner = web.AppRunner(_application(report), access_log=None)
    await runner.setup()
    host, _, port = listen.rpartition(":")
    try:
        await web.TCPSite(runner, host.strip("[]"), int(port)).start()
    except OSError as error:
        await runner.cleanup()
        reason = error.strerror or error
        raise BadInput(
            f"cannot listen on {listen} ({reason}); choose another address in http.listen, or null"
        ) from error
    try:
        yield
    finally:
        await runner.cleanup()


def health_of(report: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Return the answer of /healthz and its status: 503 while something fails; warnings are listed beside."""
    told: dict[str, list[str]] = {gravity: [] for gravity in Gravity}
    for problem in report["problems"]:
        told[problem["gravity"]].append(problem["text"])
    answer = {
        "state": report["state"],
        "problems": told[Gravity.FAILURE],
        "warnings": told[Gravity.WARNING],
    }
    return answer, 503 if told[Gravity.FAILURE] else 200


def _application(report: Report) -> web.Application:
    from aiohttp import web  # noqa: PLC0415 - as above

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text=prometheus(report()), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def health(_: web.Request) -> web.Response:
        answer, status = health_of(report())
        return web.json_response(answer, status=status)

    application = web.Application()
    application.router.add_get("/metrics", metrics)
    application.router.add_get("/healthz", health)
    return application
