"""Templates on a real server: applied once, applied again, followed by a changed configuration, and every query run."""

import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from edge_gateway.durable.effects import AlertChange, SeriesName, StoreEffects, TextName
from edge_gateway.durable.outbox import SinkBudget
from edge_gateway.durable.settings import StoreSettings, Tier
from edge_gateway.durable.store import Store
from edge_gateway.errors import BadInput, CannotReach
from edge_gateway.influx_setup import (
    Change,
    Target,
    WindowBucket,
    apply,
    documents_for,
    plan,
    resource_name,
)
from edge_gateway.sinks.influx_write import InfluxWriter
from edge_gateway.sinks.line_protocol import render_gateway
from fleet_proof.servers.influx import Influx
from tests.gateway.durable.fleet import closed, closed_states
from tests.templates import uninstall

DAY = 86_400_000
MINUTE = 60_000
WINDOWS = (
    WindowBucket(MINUTE, "telemetry", 30 * DAY),
    WindowBucket(10 * MINUTE, "telemetry_10m", 180 * DAY),
    WindowBucket(60 * MINUTE, "telemetry_1h", 730 * DAY),
)


@pytest.fixture
def clean(influx: Influx) -> Iterator[Influx]:
    uninstall(influx)
    yield influx
    uninstall(influx)


def target(influx: Influx) -> Target:
    return Target(influx.url, influx.org, influx.token)


def kinds(changes: tuple[Change, ...]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for change in changes:
        counted[change.what] = counted.get(change.what, 0) + 1
    return counted


def buckets(influx: Influx) -> dict[str, int]:
    """Seconds each bucket of the product keeps."""
    found = influx.call("GET", "/api/v2/buckets?limit=100")["buckets"]
    return {
        one["name"]: one["retentionRules"][0]["everySeconds"]
        for one in found
        if one["name"].startswith("telemetry") and one["retentionRules"]
    }


async def test_applying_twice_changes_nothing_the_second_time(clean: Influx) -> None:
    first = await plan(target(clean), WINDOWS)
    assert (first.stack, first.in_step) == ("", False)
    assert kinds(first.changes) == {"create": 11}
    assert buckets(clean) == {}, "a plan changes nothing"
    applied = await apply(target(clean), WINDOWS)
    assert kinds(applied.changes) == {"create": 11}
    assert buckets(clean) == {"telemetry": 2_592_000, "telemetry_10m": 15_552_000, "telemetry_1h": 63_072_000}
    assert (await plan(target(clean), WINDOWS)).in_step
    again = await apply(target(clean), WINDOWS)
    assert kinds(again.changes) == {"keep": 11}
    assert again.stack == applied.stack
    assert [one["name"] for one in clean.call("GET", "/api/v2/dashboards")["dashboards"]] == [
        "Fleet overview"
    ]


async def test_what_was_changed_by_hand_or_in_the_configuration_is_named_and_mended(clean: Influx) -> None:
    await apply(target(clean), WINDOWS)
    dashboard = clean.call("GET", "/api/v2/dashboards")["dashboards"][0]
    clean.call("DELETE", f"/api/v2/dashboards/{dashboard['id']}/cells/{dashboard['cells'][0]['id']}")
    shorter = (WindowBucket(MINUTE, "telemetry", 7 * DAY), *WINDOWS[1:])
    found = await plan(target(clean), shorter)
    assert [(c.kind, c.name) for c in found.changes if c.what == "update"] == [
        ("Bucket", "telemetry"),
        ("Dashboard", "Fleet overview"),
    ]
    await apply(target(clean), shorter)
    assert (await plan(target(clean), shorter)).in_step
    assert buckets(clean)["telemetry"] == 7 * 86_400


async def test_a_bucket_that_was_there_is_taken_over_with_its_data(clean: Influx) -> None:
    org = clean.call("GET", f"/api/v2/orgs?org={clean.org}")["orgs"][0]["id"]
    clean.call("POST", "/api/v2/buckets", {"name": "telemetry", "orgID": org, "retentionRules": []})
    clean.write("telemetry", "sensor,device=d,metric=m,site=s count=1i")
    await apply(target(clean), WINDOWS)
    assert len(clean.query('from(bucket: "telemetry") |> range(start: -1h)')) == 1
    assert buckets(clean)["telemetry"] == 2_592_000


async def test_a_renamed_bucket_leaves_the_old_one_with_its_data(clean: Influx) -> None:
    await apply(target(clean), WINDOWS)
    clean.write("telemetry_10m", "sensor,device=d,metric=m,site=s count=1i")
    renamed = (WINDOWS[0], WindowBucket(5 * MINUTE, "telemetry_5m", 90 * DAY))
    changes = (await apply(target(clean), renamed)).changes
    assert [c.name for c in changes if c.what == "create"] == ["telemetry_5m"]
    assert [c for c in changes if c.what == "remove"] == []
    assert set(buckets(clean)) == {"telemetry", "telemetry_5m", "telemetry_10m", "telemetry_1h"}
    assert len(clean.query('from(bucket: "telemetry_10m") |> range(start: -1h)')) == 1
    assert (await plan(target(clean), renamed)).in_step


async def test_what_the_server_does_not_accept_is_said(clean: Influx) -> None:
    with pytest.raises(BadInput, match=r"does not accept this \(4"):
        await apply(target(clean), (WindowBucket(MINUTE, "telemetry", 1000), *WINDOWS[1:]))
    with pytest.raises(BadInput, match="401"):
        await plan(Target(clean.url, clean.org, "wrong"), WINDOWS)
    with pytest.raises(BadInput, match="404"):
        await plan(Target(clean.url, "nobody", clean.token), WINDOWS)


@pytest.fixture
async def stranger() -> AsyncIterator[str]:
    """A server that answers everything, and is no InfluxDB."""

    async def answer(request: web.Request) -> web.Response:
        status = 503 if "org=down" in request.query_string else 200
        return web.Response(text="<html>welcome</html>", status=status)

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
    with pytest.raises(CannotReach, match="503"):
        await plan(Target(stranger, "down", "t"), WINDOWS)
    with pytest.raises(CannotReach, match="does not answer"):
        await plan(Target("http://127.0.0.1:1", "fleet", "t"), WINDOWS)


@pytest.mark.parametrize(
    ("bucket", "name"),
    [
        ("telemetry_10m", "telemetry-10m"),
        ("Grün & Blau", "gr-n-blau"),
        ("__", "bucket"),
        ("x" * 80, "x" * 63),
    ],
)
def test_bucket_names_become_names_a_template_may_have(bucket: str, name: str) -> None:
    assert resource_name(bucket) == name
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name)


def test_a_configuration_of_its_own_reaches_every_document() -> None:
    own = (WindowBucket(10_000, 'my "base"', DAY), WindowBucket(60_000, "coarse", 2 * DAY))
    by_name = {one["metadata"]["name"]: one["spec"] for one in documents_for(own)}
    assert by_name["windows"]["values"] == {"10s": 'my "base"', "1m": "coarse"}
    assert by_name["base"]["values"] == ['my "base"']
    assert r'from(bucket: "my \"base\"")' in by_name["gateway-silent"]["query"]
    assert by_name["coarse"]["retentionRules"] == [{"type": "expire", "everySeconds": 172_800}]
    assert '"telemetry' not in json.dumps(list(by_name.values()))


def test_cells_do_not_overlap_and_stay_on_the_grid() -> None:
    (dashboard,) = [one["spec"] for one in documents_for(WINDOWS) if one["kind"] == "Dashboard"]
    taken: set[tuple[int, int]] = set()
    for chart in dashboard["charts"]:
        x, y, width, height = (chart[key] for key in ("xPos", "yPos", "width", "height"))
        cells = {(column, row) for column in range(x, x + width) for row in range(y, y + height)}
        assert width > 0
        assert height > 0
        assert x + width <= 12
        assert not cells & taken, chart["name"]
        taken |= cells


# --- every query on data as the product writes it


def queries() -> dict[str, str]:
    """Every Flux query of the templates, by where it stands."""
    found: dict[str, str] = {}
    for one in documents_for(WINDOWS):
        spec = one["spec"]
        if one["kind"] == "Dashboard":
            found |= {f"cell {c['name']}": q["query"] for c in spec["charts"] for q in c.get("queries", ())}
        elif "query" in spec:
            found[f"{one['kind']} {spec['name']}"] = spec["query"]
    return found


def with_choices(query: str) -> str:
    """The query as the dashboard runs it: imports first, then what is chosen."""
    chosen = {
        "windows": '"telemetry"',
        "base": '"telemetry"',
        "site": '"berlin"',
        "device": '"frz-1"',
        "metric": '"temperature"',
        "timeRangeStart": "-1h",
        "timeRangeStop": "now()",
        "windowPeriod": "1m",
    }
    option = f"option v = {{{', '.join(f'{name}: {value}' for name, value in chosen.items())}}}\n"
    imports = "".join(re.findall(r'^import ".*"\n', query, re.MULTILINE))
    return imports + option + re.sub(r'^import ".*"\n', "", query, flags=re.MULTILINE)


@pytest.fixture
async def data(clean: Influx, tmp_path: Path) -> Influx:
    """Three minutes of two freezers and a door, an alert, and the gateway's counters, as the product writes them."""
    await apply(target(clean), WINDOWS)
    start = int(time.time() * 1000) // MINUTE * MINUTE - 5 * MINUTE
    named = tuple(
        SeriesName(series, 0, device, metric, "berlin", kind, {})
        for series, (device, metric, kind) in enumerate(
            [
                ("frz-1", "temperature", "freezer"),
                ("frz-2", "temperature", "freezer"),
                ("door-1", "open", "door"),
            ]
        )
    )
    readings = [
        (series, start + minute * MINUTE + second * 1000, -18.0 + series + minute + second / 10)
        for series in range(2)
        for minute in range(3)
        for second in range(0, 60, 10)
    ]
    alert = AlertChange(
        "a", "g", "Warm", "critical", "firing", "frz-1", "berlin", "temperature", -9.0, -12.0, start, 1, 2
    )
    effects = StoreEffects(
        start,
        named,
        (TextName(0, "false"), TextName(1, "true")),
        windows=(closed(0, readings),),
        states=(closed_states(0, [(2, start, 0), (2, start + 5, 1)]),),
        alerts=(alert, replace(alert, rule="Cold", state="resolved")),
    )
    settings = StoreSettings(
        tuple(Tier(window.every, window.bucket, window.keep) for window in WINDOWS),
        sinks=(SinkBudget("influx", 1 << 30),),
    )
    store = Store.open(tmp_path / "store.sqlite", settings, floor=0, at=start)
    store.apply([(1, [effects])])
    for step in range(3):
        report = {
            "messages": {"received": 60 * step, "new": 60 * step, "duplicate": 0},
            "values": {"bad": 1, "refused": 0, "too_late": 4},
        }
        store.enqueue(render_gateway("gw", report, start + step * MINUTE), start)
    async with InfluxWriter(clean.url, clean.org, lambda: clean.token) as writer:
        while (parcel := store.take("influx")) is not None:
            assert (await writer.write(parcel.bucket, parcel.body)).status == 204
            store.done(parcel)
    store.close()
    return clean


async def test_every_query_of_every_cell_variable_and_check_finds_what_was_written(data: Influx) -> None:
    rows = {name: data.query(with_choices(query)) for name, query in queries().items()}
    assert {name for name, found in rows.items() if not found} == set()

    def values(name: str) -> list[str]:
        return [row["_value"] for row in rows[name]]

    assert values("cell Devices reporting") == ["2"]
    assert values("cell Readings") == ["36"]
    assert values("cell Alerts firing") == ["1"]
    assert values("cell Too late") == ["4"]
    assert values("cell Quality of the site") == ["1"]
    assert values("Variable site") == ["berlin"]
    assert values("Variable device") == ["frz-1", "frz-2"]
    assert values("Variable metric") == ["temperature"]
    band = {row["result"]: float(row["_value"]) for row in rows["cell The device"]}
    assert band == {"mean": -13.5, "max": -11.0, "min": -16.0}
    site = {row["result"]: float(row["_value"]) for row in rows["cell The site"]}
    assert site == {"mean": -13.0, "max": -10.0, "min": -16.0}
    assert len(rows["cell The site"]) == 9
    assert [(row["rule"], row["state"], row["level"]) for row in rows["cell Alerts"]] == [
        ("Cold", "resolved", "critical"),
        ("Warm", "firing", "critical"),
    ]
    assert [(row["device"], row["_value"]) for row in rows["cell Latest means of the site"]] == [
        ("frz-2", "-12.5"),
        ("frz-1", "-13.5"),
    ]
    assert [(row["device"], row["_value"]) for row in rows["cell States of the site"]] == [("door-1", "true")]
    assert sorted(values("cell Spread of the site")) == ["-12.5", "-13.5"]
    assert {(row["_field"], row["_value"]) for row in rows["cell Gateway, messages a second"]} == {
        ("received", "1"),
        ("new", "1"),
        ("duplicate", "0"),
    }
    assert {row["_field"] for row in rows["cell Gateway, values not counted"]} == {
        "bad",
        "refused",
        "too_late",
    }
    assert len(rows["CheckDeadman Gateway silent"]) == 3
