"""The templates on a real server: applied, applied again, beside what others made, changed by hand."""

import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from edge_gateway.errors import BadInput, CannotReach
from edge_gateway.sinks.influx.setup.apply import apply, plan
from edge_gateway.sinks.influx.setup.documents import WindowBucket
from edge_gateway.sinks.influx.setup.plan import Allowed, Change
from edge_gateway.sinks.influx.setup.server import Target
from tests.gateway.sinks.influx.setup.place import DAY, MINUTE, WINDOWS, Commands, all_of, org_id, target
from tests.servers.influx import Influx

FORCE = Allowed(force=True)
RESOURCES = 10
"""Three buckets, four variables, a label, a check, and of the dashboards one."""


def kinds(changes: tuple[Change, ...]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for change in changes:
        counted[change.what] = counted.get(change.what, 0) + 1
    return counted


def differing(changes: tuple[Change, ...]) -> dict[str, tuple[str, ...]]:
    return {change.name: change.differs for change in changes if change.what != "keep"}


def one_of(influx: Influx, kind: str, name: str) -> dict[str, Any]:
    (found,) = [one for one in all_of(influx, kind) if one["name"] == name]
    return found


def buckets(influx: Influx) -> dict[str, int]:
    """Seconds each bucket of the product keeps, 0 for ever."""
    return {
        one["name"]: sum(rule["everySeconds"] for rule in one["retentionRules"])
        for one in all_of(influx, "buckets")
        if one["name"].startswith("telemetry")
    }


def keep(influx: Influx, bucket: str, seconds: int) -> None:
    rules = [{"type": "expire", "everySeconds": seconds}]
    number = one_of(influx, "buckets", bucket)["id"]
    influx.call("PATCH", f"/api/v2/buckets/{number}", {"retentionRules": rules})


def make_bucket(influx: Influx, name: str, seconds: int) -> None:
    rules = [{"type": "expire", "everySeconds": seconds}]
    influx.call("POST", "/api/v2/buckets", {"name": name, "orgID": org_id(influx), "retentionRules": rules})


class Board:
    """The dashboard, as a person changes it in InfluxDB's own page."""

    def __init__(self, influx: Influx) -> None:
        self._influx = influx
        self.path = f"/api/v2/dashboards/{one_of(influx, 'dashboards', 'Fleet overview')['id']}"

    def cells(self) -> dict[str, dict[str, Any]]:
        found = self._influx.call("GET", f"{self.path}?include=properties")["cells"]
        return {one["name"]: one for one in found}

    def change(self, cell: str, change: Callable[[dict[str, Any]], object]) -> None:
        path = f"{self.path}/cells/{self.cells()[cell]['id']}/view"
        view = self._influx.call("GET", path)
        change(view["properties"])
        self._influx.call("PATCH", path, {"name": view["name"], "properties": view["properties"]})

    def move(self, cell: str, x: int, y: int) -> None:
        self._influx.call("PATCH", f"{self.path}/cells/{self.cells()[cell]['id']}", {"x": x, "y": y})

    def add(self, name: str, like: str) -> None:
        alike = self.cells()[like]["properties"]
        made = self._influx.call("POST", f"{self.path}/cells", {"x": 0, "y": 40, "w": 4, "h": 4})
        view = {"name": name, "properties": alike}
        self._influx.call("PATCH", f"{self.path}/cells/{made['id']}/view", view)

    def remove(self, cell: str) -> None:
        self._influx.call("DELETE", f"{self.path}/cells/{self.cells()[cell]['id']}")


async def test_applying_twice_changes_nothing_the_second_time(clean: Influx) -> None:
    first = await plan(target(clean), WINDOWS)
    assert (first.stack, first.in_step) == ("", False)
    assert kinds(first.changes) == {"create": RESOURCES}
    assert buckets(clean) == {}, "a plan changes nothing"
    applied = await apply(target(clean), WINDOWS)
    assert applied.changes == first.changes
    assert buckets(clean) == {"telemetry": 2_592_000, "telemetry_10m": 15_552_000, "telemetry_1h": 63_072_000}
    assert (await plan(target(clean), WINDOWS)).in_step
    cells = {one["id"] for one in Board(clean).cells().values()}
    again = await apply(target(clean), WINDOWS)
    assert (kinds(again.changes), again.in_step) == ({"keep": RESOURCES}, True)
    assert again.stack == applied.stack
    assert [one["name"] for one in all_of(clean, "dashboards")] == ["Fleet overview"]
    assert {one["id"] for one in Board(clean).cells().values()} == cells, "nothing is written anew"


async def test_variables_are_names_of_our_own_in_the_order_of_choosing(clean: Influx) -> None:
    await apply(target(clean), WINDOWS)
    by_age = sorted(all_of(clean, "variables"), key=lambda one: str(one["createdAt"]))
    assert [one["name"] for one in by_age] == ["fleet_site", "fleet_metric", "fleet_device", "fleet_windows"]


async def test_a_users_bucket_keeps_its_points_and_its_retention_until_it_is_adopted_by_force(
    clean: Influx,
) -> None:
    make_bucket(clean, "telemetry", 90 * 86_400)
    old = int(time.time() * 1000) - 60 * DAY
    clean.write("telemetry", f"mine value=1 {old}")
    with pytest.raises(BadInput, match="--adopt bucket/telemetry") as refused:
        await apply(target(clean), WINDOWS)
    assert "keeps 90d now, would keep 30d: points older than" in str(refused.value)
    assert buckets(clean) == {"telemetry": 90 * 86_400}, "nothing else is made either"
    assert all_of(clean, "variables") == []
    with pytest.raises(BadInput, match="would keep 30d"):
        await apply(target(clean), WINDOWS, Allowed(("telemetry",)))
    with pytest.raises(BadInput, match="--adopt"):
        await apply(target(clean), WINDOWS, FORCE)
    longer = (WindowBucket(MINUTE, "telemetry", 120 * DAY), *WINDOWS[1:])
    applied = await apply(target(clean), longer, Allowed(("telemetry",)))
    assert differing(applied.changes)["telemetry"][0] == "keeps 90d, not 120d"
    assert buckets(clean)["telemetry"] == 120 * 86_400
    assert len(clean.query('from(bucket: "telemetry") |> range(start: -61d)')) == 1
    assert (await plan(target(clean), longer)).in_step


@pytest.mark.parametrize("seconds", [90 * 86_400, 0])
async def test_a_bucket_of_ours_that_a_person_lengthened_is_not_shortened(
    clean: Influx, seconds: int
) -> None:
    await apply(target(clean), WINDOWS)
    keep(clean, "telemetry", seconds)
    found = await plan(target(clean), WINDOWS)
    assert not found.in_step
    assert len(found.refusals) == 1
    with pytest.raises(BadInput, match="would keep 30d"):
        await apply(target(clean), WINDOWS)
    assert buckets(clean)["telemetry"] == seconds
    await apply(target(clean), WINDOWS, FORCE)
    assert buckets(clean)["telemetry"] == 30 * 86_400
    assert (await plan(target(clean), WINDOWS)).in_step


async def test_a_longer_retention_is_just_done_and_said(clean: Influx) -> None:
    await apply(target(clean), WINDOWS)
    longer = (WindowBucket(MINUTE, "telemetry", 60 * DAY), *WINDOWS[1:])
    changes = (await apply(target(clean), longer)).changes
    assert differing(changes) == {"telemetry": ("keeps 30d, not 60d",)}
    assert buckets(clean)["telemetry"] == 60 * 86_400


async def test_two_gateways_of_one_organisation_do_not_shorten_or_lose_each_others_windows(
    clean: Influx,
) -> None:
    other = (WindowBucket(MINUTE, "telemetry", 7 * DAY), WindowBucket(5 * MINUTE, "telemetry_5m", 90 * DAY))
    await apply(target(clean), WINDOWS)
    with pytest.raises(BadInput, match="keeps 30d now, would keep 7d"):
        await apply(target(clean), other)
    alike = (WINDOWS[0], other[1])
    await apply(target(clean), alike)
    assert buckets(clean) == {
        "telemetry": 2_592_000,
        "telemetry_10m": 15_552_000,
        "telemetry_1h": 63_072_000,
        "telemetry_5m": 90 * 86_400,
    }
    offered = one_of(clean, "variables", "fleet_windows")["arguments"]["values"]
    assert set(offered.values()) == set(buckets(clean))
    for windows in (WINDOWS, alike):
        assert (await plan(target(clean), windows)).in_step


async def test_a_renamed_bucket_leaves_the_old_one_with_its_points(clean: Influx) -> None:
    await apply(target(clean), WINDOWS)
    clean.write("telemetry_10m", "sensor,device=d,metric=m,site=s count=1i")
    renamed = (WINDOWS[0], WindowBucket(5 * MINUTE, "telemetry_5m", 90 * DAY))
    changes = (await apply(target(clean), renamed)).changes
    assert [c.name for c in changes if c.what == "create"] == ["telemetry_5m"]
    assert [c for c in changes if c.what == "remove"] == []
    assert set(buckets(clean)) == {"telemetry", "telemetry_5m", "telemetry_10m", "telemetry_1h"}
    assert len(clean.query('from(bucket: "telemetry_10m") |> range(start: -1h)')) == 1


async def test_a_users_variable_is_refused_unless_it_is_adopted(clean: Influx) -> None:
    values = {"type": "constant", "values": ["mine"]}
    clean.call("POST", "/api/v2/variables", {"name": "site", "orgID": org_id(clean), "arguments": values})
    clean.call(
        "POST", "/api/v2/variables", {"name": "fleet_site", "orgID": org_id(clean), "arguments": values}
    )
    with pytest.raises(BadInput, match="--adopt variable/fleet_site") as refused:
        await apply(target(clean), WINDOWS)
    assert "type, values" in str(refused.value)
    await apply(target(clean), WINDOWS, Allowed(("fleet_site",)))
    assert one_of(clean, "variables", "fleet_site")["arguments"]["type"] == "query"
    assert one_of(clean, "variables", "site")["arguments"] == values, (
        "a name of the user's own is never touched"
    )
    assert (await plan(target(clean), WINDOWS)).in_step


async def test_what_a_person_changed_in_the_dashboard_is_named_and_stays_until_it_is_forced(
    clean: Influx,
) -> None:
    await apply(target(clean), WINDOWS)
    board = Board(clean)
    board.change("The site: least, mean and greatest", lambda cell: cell["colors"][0].update(hex="#000000"))
    board.change("Firing now", lambda cell: cell["fieldOptions"].pop())
    board.change("The device: least, mean and greatest", lambda cell: cell["axes"]["y"].update(suffix=" °C"))
    board.change("Not counted", lambda cell: cell["queries"][0].update(text="buckets()"))
    board.move("Devices", 0, 30)
    board.add("Mine", like="The site: least, mean and greatest")
    changed = board.cells()
    found = await plan(target(clean), WINDOWS)
    differs = " · ".join(differing(found.changes)["Fleet overview"])
    for said in ("greatest': colors", "'Firing now': fieldOptions", "greatest': axes.y.suffix"):
        assert said in differs
    for said in ("'Not counted': queries", "'Devices': x, y", "'Mine' is not in the templates"):
        assert said in differs
    with pytest.raises(BadInput, match="clone the dashboard") as refused:
        await apply(target(clean), WINDOWS)
    assert "cell 'Mine' was added" in str(refused.value)
    assert board.cells() == changed
    await apply(target(clean), WINDOWS, FORCE)
    assert "Mine" not in board.cells()
    assert (await plan(target(clean), WINDOWS)).in_step


async def test_what_a_person_deleted_is_put_back_and_said(clean: Influx) -> None:
    await apply(target(clean), WINDOWS)
    Board(clean).remove("Devices")
    clean.call("DELETE", f"/api/v2/variables/{one_of(clean, 'variables', 'fleet_metric')['id']}")
    clean.call("DELETE", f"/api/v2/checks/{one_of(clean, 'checks', 'Gateway silent')['id']}")
    applied = await apply(target(clean), WINDOWS)
    assert differing(applied.changes)["Fleet overview"] == ("cell 'Devices' is missing",)
    assert kinds(applied.changes) == {"create": 2, "update": 1, "keep": RESOURCES - 3}
    assert (await plan(target(clean), WINDOWS)).in_step


@pytest.mark.parametrize(
    ("kind", "name", "change", "said"),
    [
        ("variables", "fleet_device", {"arguments": {"type": "constant", "values": ["x"]}}, "type, values"),
        ("variables", "fleet_windows", {"selected": ["1h"]}, "selected"),
        ("checks", "Gateway silent", {"status": "inactive"}, "status"),
        ("labels", "edge-fleet", {"properties": {"color": "#000000"}}, "color"),
        ("buckets", "telemetry", {"description": "mine"}, "description"),
        ("dashboards", "Fleet overview", {"description": "mine"}, "description"),
    ],
)
async def test_every_property_is_compared(
    clean: Influx, kind: str, name: str, change: dict[str, Any], said: str
) -> None:
    await apply(target(clean), WINDOWS)
    clean.call("PATCH", f"/api/v2/{kind}/{one_of(clean, kind, name)['id']}", change)
    found = await plan(target(clean), WINDOWS)
    assert differing(found.changes) == {name: (said,)}
    assert "by hand" in "".join(found.refusals)
    await apply(target(clean), WINDOWS, FORCE)
    assert (await plan(target(clean), WINDOWS)).in_step


async def test_a_configuration_that_changed_updates_what_nobody_touched_unasked(clean: Influx) -> None:
    await apply(target(clean), WINDOWS)
    moved = (WindowBucket(MINUTE, "telemetry_base", 30 * DAY), *WINDOWS[1:])
    applied = await apply(target(clean), moved)
    assert applied.refusals == ()
    assert "telemetry_base" in one_of(clean, "checks", "Gateway silent")["query"]["text"]
    assert (await plan(target(clean), moved)).in_step


async def test_another_organisation_has_a_stack_of_its_own(clean: Influx) -> None:
    name = f"other-{time.time_ns()}"
    clean.call("POST", "/api/v2/orgs", {"name": name})
    other = Influx(clean.url, org=name, token=clean.token, runner=None)
    ours, theirs = await apply(target(clean), WINDOWS), await apply(target(other), WINDOWS[:2])
    assert ours.stack != theirs.stack
    assert (await plan(target(clean), WINDOWS)).in_step
    assert (await plan(target(other), WINDOWS[:2])).in_step
    assert set(buckets(other)) == {"telemetry", "telemetry_10m"}


@pytest.mark.parametrize(
    ("rights", "said"),
    [
        (["write:buckets"], "does not see the organisation"),
        (["read:orgs", "read:buckets"], "may not manage"),
        (["read:orgs", "write:orgs", "read:buckets", "write:buckets"], "may not manage"),
    ],
)
async def test_a_token_without_the_rights_is_said_and_changes_nothing(
    clean: Influx, rights: list[str], said: str
) -> None:
    org = org_id(clean)
    permissions = []
    for action, _, kind in (right.partition(":") for right in rights):
        resource = {"type": kind, "id": org} if kind == "orgs" else {"type": kind, "orgID": org}
        permissions.append({"action": action, "resource": resource})
    token = clean.call("POST", "/api/v2/authorizations", {"orgID": org, "permissions": permissions})["token"]
    with pytest.raises(BadInput, match=said) as refused:
        await apply(Target(clean.url, clean.org, token), WINDOWS)
    assert "all-access token" in str(refused.value)
    assert buckets(clean) == {}


async def test_what_the_server_does_not_accept_is_said(clean: Influx) -> None:
    with pytest.raises(BadInput, match=r"rejects this \(4"):
        await apply(target(clean), (WindowBucket(MINUTE, "telemetry", 1000), *WINDOWS[1:]))
    with pytest.raises(BadInput, match="must be a string of at least 2 chars"):
        await plan(target(clean), (WindowBucket(MINUTE, "x", DAY),))
    with pytest.raises(BadInput, match="401"):
        await plan(Target(clean.url, clean.org, "wrong"), WINDOWS)
    with pytest.raises(BadInput, match="404"):
        await plan(Target(clean.url, "nobody", clean.token), WINDOWS)


@pytest.fixture
async def stranger() -> AsyncIterator[str]:
    """A server that answers everything, and is no InfluxDB."""

    async def answer(request: web.Request) -> web.Response:
        status = 503 if "org=down" in request.query_string else 200
        text = "[]" if "org=list" in request.query_string else "<html>welcome</html>"
        return web.Response(text=text, status=status)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_no_server_or_another_one_is_said(stranger: str) -> None:
    with pytest.raises(CannotReach, match="not InfluxDB 2"):
        await plan(Target(stranger, "fleet", "t"), WINDOWS)
    with pytest.raises(CannotReach, match="not InfluxDB 2"):
        await plan(Target(stranger, "list", "t"), WINDOWS)
    with pytest.raises(CannotReach, match="503"):
        await plan(Target(stranger, "down", "t"), WINDOWS)
    with pytest.raises(CannotReach, match="does not answer"):
        await plan(Target("http://127.0.0.1:1", "fleet", "t"), WINDOWS)


def test_a_dry_run_says_exactly_what_an_apply_does_and_the_exit_statuses_tell(
    clean: Influx, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SETUP_TOKEN", clean.token)
    commands = Commands(tmp_path, clean, capsys)
    make_bucket(clean, "telemetry", 90 * 86_400)
    status, told, error = commands.run("apply", "--dry-run", "--json")
    assert (status, json.loads(told)["stack"]) == (2, "")
    assert "--adopt bucket/telemetry" in error
    assert commands.run("apply")[0] == 2
    assert commands.run("status")[0] == 1
    allowed = ("--adopt", "telemetry", "--force", "--json")
    dry = json.loads(commands.run("apply", "--dry-run", *allowed)[1])
    assert buckets(clean) == {"telemetry": 90 * 86_400}
    status, told, error = commands.run("apply", *allowed)
    assert (status, error) == (0, "")
    assert json.loads(told)["changes"] == dry["changes"]
    assert commands.run("status")[0] == 0
    status, told, error = commands.run("apply")
    assert (status, told.strip(), error) == (0, "in step with the templates; nothing to change", "")
    keep(clean, "telemetry", 0)
    status, told, error = commands.run("status")
    assert status == 1
    assert "keeps everything, not 30d" in " ".join(told.split())
    assert "--force" in error
