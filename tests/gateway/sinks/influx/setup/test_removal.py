"""What `influx remove` takes from a real server, and what of others it leaves there."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from edge_gateway.errors import BadInput
from edge_gateway.sinks.influx.setup.apply import apply, plan
from edge_gateway.sinks.influx.setup.documents import documents_for
from edge_gateway.sinks.influx.setup.plan import Allowed
from edge_gateway.sinks.influx.setup.removal import Removal, remove
from edge_gateway.sinks.influx.setup.server import Target, connected
from tests.gateway.sinks.influx.setup.place import WINDOWS, Commands, all_of, org_id, target
from tests.servers.influx import Influx
from tests.templates import uninstall

KINDS = ("dashboards", "checks", "variables", "buckets", "labels")
NOTHING: dict[str, list[str]] = {kind: [] for kind in KINDS}


def names(influx: Influx) -> dict[str, list[str]]:
    """What there is by kind, without the server's own buckets and those of other tests."""
    found = {kind: sorted(one["name"] for one in all_of(influx, kind)) for kind in KINDS}
    return {
        **found,
        "buckets": [name for name in found["buckets"] if name.startswith("telemetry")],
        "labels": [name for name in found["labels"] if name == "edge-fleet"],
    }


def stacks(influx: Influx) -> list[str]:
    found = influx.call("GET", f"/api/v2/stacks?orgID={org_id(influx)}&name=edge-fleet")["stacks"] or []
    return [one["id"] for one in found if one["eventType"] != "uninstall"]


def kept(removal: Removal) -> dict[str, str]:
    return {f"{one.kind} {one.name}": one.differs[0] for one in removal.changes if one.what == "keep"}


async def test_what_is_removed_is_named_first_and_points_stay_unless_asked_for(clean: Influx) -> None:
    before = names(clean)
    assert before == NOTHING
    assert (await remove(target(clean), points=True, confirmed=True)).changes == ()
    await apply(target(clean), WINDOWS)
    clean.write("telemetry", f"kept value=1 {int(time.time() * 1000)}")
    applied = names(clean)
    named = await remove(target(clean), points=False, confirmed=False)
    assert names(clean) == applied, "nothing is removed yet"
    done = await remove(target(clean), points=False, confirmed=True)
    assert (done.changes, done.removed) == (named.changes, True)
    assert [one.kind for one in done.changes][:2] == ["Dashboard", "Check"]
    left = names(clean)
    assert left == {**before, "buckets": applied["buckets"]}
    assert len(clean.query('from(bucket: "telemetry") |> range(start: -1h)')) == 1
    await apply(target(clean), WINDOWS)
    assert names(clean) == applied, "an apply goes on with what stayed"
    assert (await plan(target(clean), WINDOWS)).in_step
    await remove(target(clean), points=True, confirmed=True)
    assert (names(clean), stacks(clean)) == (before, [])


async def test_what_is_somebody_elses_stays(clean: Influx) -> None:
    rules = [{"type": "expire", "everySeconds": 2_592_000}]
    organisation = org_id(clean)
    own = {"orgID": organisation, "retentionRules": rules}
    clean.call("POST", "/api/v2/buckets", {"name": "telemetry", **own})
    clone = clean.call("POST", "/api/v2/dashboards", {"name": "Clone", "orgID": organisation})
    await apply(target(clean), WINDOWS, Allowed(("telemetry",)))
    (board,) = [one for one in all_of(clean, "dashboards") if one["name"] == "Fleet overview"]
    cell = clean.call("POST", f"/api/v2/dashboards/{board['id']}/cells", {"x": 0, "y": 40, "w": 4, "h": 4})
    of_cell = clean.call("POST", f"/api/v2/dashboards/{clone['id']}/cells", {"x": 0, "y": 0, "w": 4, "h": 4})
    text = {"type": "markdown", "shape": "chronograf-v2", "note": "v.fleet_site"}
    path = f"/api/v2/dashboards/{clone['id']}/cells/{of_cell['id']}/view"
    clean.call("PATCH", path, {"name": "mine", "properties": text})
    path = f"/api/v2/dashboards/{board['id']}/cells/{cell['id']}/view"
    clean.call("PATCH", path, {"name": "mine", "properties": {**text, "note": "added"}})
    done = await remove(target(clean), points=True, confirmed=True)
    assert kept(done)["Dashboard Fleet overview"] == "cell 'mine' was added by hand"
    assert kept(done)["Bucket telemetry"] == "it was there before it was adopted"
    assert kept(done)["Variable fleet_site"] == "dashboard 'Clone' uses it"
    left = names(clean)
    assert left["buckets"] == ["telemetry"]
    assert left["dashboards"] == ["Clone", "Fleet overview"]
    assert "fleet_site" in left["variables"]
    assert (left["checks"], len(stacks(clean))) == ([], 1)
    clean.call("DELETE", f"/api/v2/dashboards/{clone['id']}")


async def test_two_stacks_are_both_removed(clean: Influx) -> None:
    await apply(target(clean), WINDOWS)
    async with connected(target(clean)) as server:
        await server.apply(await server.make_stack(), documents_for(WINDOWS))
    assert len(stacks(clean)) == 2
    some = await remove(target(clean), points=False, confirmed=True)
    assert [one.what for one in some.changes if one.kind == "Stack"] == ["keep", "update"]
    assert names(clean)["dashboards"] == []
    uninstall(clean)


async def test_with_their_points_two_stacks_leave_nothing(clean: Influx) -> None:
    await apply(target(clean), WINDOWS)
    async with connected(target(clean)) as server:
        await server.apply(await server.make_stack(), documents_for(WINDOWS))
    done = await remove(target(clean), points=True, confirmed=True)
    assert [one.what for one in done.changes if one.kind == "Stack"] == ["remove", "remove"]
    assert (names(clean), stacks(clean)) == (NOTHING, [])


async def test_a_token_without_rights_is_told_which_it_needs(clean: Influx) -> None:
    (bucket,) = [one for one in all_of(clean, "buckets") if one["name"] == "_monitoring"]
    organisation = org_id(clean)
    grant = {"action": "read", "resource": {"type": "buckets", "id": bucket["id"], "orgID": organisation}}
    made = clean.call("POST", "/api/v2/authorizations", {"orgID": organisation, "permissions": [grant]})
    weak = Target(clean.url, clean.org, made["token"])
    with pytest.raises(BadInput, match="all-access token, or one that may read and write"):
        await remove(weak, points=False, confirmed=False)
    clean.call("DELETE", f"/api/v2/authorizations/{made['id']}")


def test_the_commands_name_differences_and_what_goes(
    clean: Influx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SETUP_TOKEN", clean.token)
    commands = Commands(tmp_path, clean, capsys)
    assert commands.run("remove") == (0, "there is no stack of the gateway; nothing to remove\n", "")
    assert commands.run("apply")[0] == 0
    assert commands.run("diff")[:2] == (0, "in step with the templates\n")
    (check,) = all_of(clean, "checks")
    clean.call("PATCH", f"/api/v2/checks/{check['id']}", {"description": "mine"})
    status, told, _ = commands.run("diff")
    assert status == 1
    assert "Check 'Gateway silent': description\n  -mine\n  +" in told
    status, told, complaint = commands.run("remove")
    assert (status, "--yes" in complaint) == (2, True)
    assert "it was changed by hand" in told
    assert len(all_of(clean, "checks")) == 1
    status, told, _ = commands.run("remove", "--yes")
    assert (status, "removed" in told) == (0, True)
    assert [one["name"] for one in all_of(clean, "checks")] == ["Gateway silent"]
