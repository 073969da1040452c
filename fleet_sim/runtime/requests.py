"""Requests to a running fleet, over the socket in its run directory."""

import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fleet_sim.runtime.fleet import FleetRun

__all__ = ["SOCKET_NAME", "answering", "socket_of"]

SOCKET_NAME = "control.sock"


def socket_of(directory: Path) -> Path:
    """Return the socket that the run of this directory listens on."""
    return directory / SOCKET_NAME


def answering(run: FleetRun) -> Callable[[dict[str, Any]], Awaitable[Any]]:
    """Return the handler of requests for `run`.

    `{"do": "status"}`; `{"do": "stop"}`, answered with the result when the run has ended;
    `{"do": "fault", "fault": {kind, match, …}}` as a scenario says it; `{"do": "disconnect", "match": {…},
    "for": ms}`. ValueError says what is wrong with a request.
    """

    async def answer(request: dict[str, Any]) -> Any:
        match request.get("do"):
            case "status":
                return dataclasses.asdict(run.snapshot())
            case "stop":
                run.stop()
                result = await run.ended()
                if result is None:
                    raise ValueError("the run failed; its own output says why")
                return result.summary()
            case "fault":
                fault = dict(request["fault"])
                return {"number": run.start_fault(fault.pop("kind", ""), fault.pop("match", {}), **fault)}
            case "disconnect":
                return {"number": run.disconnect(request.get("match", {}), int(request["for"]))}
            case unknown:
                raise ValueError(f"cannot {unknown}; one of status, stop, fault, disconnect")

    return answer
