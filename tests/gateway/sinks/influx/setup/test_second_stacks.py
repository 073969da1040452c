"""Two applies at once, and what they may have left on a server: one stack goes on, no point is lost."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from edge_gateway.errors import BadInput
from edge_gateway.sinks.influx.setup.apply import apply, plan
from edge_gateway.sinks.influx.setup.documents import documents_for
from edge_gateway.sinks.influx.setup.plan import Allowed
from edge_gateway.sinks.influx.setup.server import connected
from tests.gateway.sinks.influx.setup.place import WINDOWS, Commands, all_of, org_id, target
from tests.servers.influx import Influx

FORCE = Allowed(force=True)


def stacks(influx: Influx) -> list[dict[str, Any]]:
    found = influx.call("GET", f"/api/v2/stacks?orgID={org_id(influx)}&name=edge-fleet")["stacks"] or []
    return [one for one in found if one["eventType"] != "uninstall"]


async def test_of_two_applies_at_once_one_makes_everything_and_the_other_gives_way(clean: Influx) -> None:
    together = [apply(target(clean), WINDOWS) for _ in range(2)]
    done = await asyncio.gather(*together, return_exceptions=True)
    assert len(stacks(clean)) == 1
    assert len(all_of(clean, "dashboards")) == 1
    for one in done:
        if isinstance(one, BaseException):
            assert isinstance(one, BadInput)
            assert "run this one again" in str(one)
    assert (await plan(target(clean), WINDOWS)).in_step


async def second_stack(influx: Influx) -> None:
    """As a race leaves it: the same buckets and variables, and a dashboard of its own."""
    async with connected(target(influx)) as server:
        await server.apply(await server.make_stack(), documents_for(WINDOWS))


async def test_a_second_stack_is_named_and_retired_by_force_and_takes_no_point_along(clean: Influx) -> None:
    await apply(target(clean), WINDOWS)
    (first,) = stacks(clean)
    clean.write("telemetry", f"kept value=1 {int(time.time() * 1000)}")
    await second_stack(clean)
    (copy,) = {one["id"] for one in stacks(clean)} - {first["id"]}
    assert len(all_of(clean, "dashboards")) == 2
    for done in (await plan(target(clean), WINDOWS), await apply(target(clean), WINDOWS)):
        assert (done.stack, done.in_step) == (first["id"], False)
        (warning,) = done.warnings
        assert f"{copy}, created 20" in warning
        assert "Dashboard 1" in warning or "Dashboard 0" in warning
        assert "--force" in warning
    dry = await plan(target(clean), WINDOWS, FORCE)
    done = await apply(target(clean), WINDOWS, FORCE)
    assert done.changes == dry.changes
    assert [(one.what, one.kind) for one in done.changes if one.what != "keep"] == [
        ("remove", "Dashboard"),
        ("update", "Stack"),
    ]
    assert [one["id"] for one in stacks(clean)] == [first["id"]]
    assert len(all_of(clean, "dashboards")) == 1
    assert (await plan(target(clean), WINDOWS)).in_step
    assert len(clean.query('from(bucket: "telemetry") |> range(start: -1h)')) == 1


def test_a_second_stack_ends_the_commands_with_1_until_force_has_let_it_go(
    clean: Influx, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SETUP_TOKEN", clean.token)
    commands = Commands(tmp_path, clean, capsys)
    assert commands.run("apply")[0] == 0
    asyncio.run(second_stack(clean))
    for command in ("status", "apply"):
        status, _, error = commands.run(command)
        assert status == 1
        assert "a second stack 'edge-fleet' exists" in error
    assert commands.run("apply", "--force")[::2] == (0, "")
    assert commands.run("status")[::2] == (0, "")
