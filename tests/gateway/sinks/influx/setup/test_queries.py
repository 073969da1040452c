"""Every query of the templates on a real server, over data as the product writes it."""

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec import structs

from edge_gateway.records.store_effects import SeriesName, StoreEffects, TextName
from edge_gateway.sinks.influx.setup.apply import apply
from edge_gateway.sinks.influx.setup.documents import documents_for
from edge_gateway.sinks.influx.writer import InfluxWriter
from edge_gateway.store.database import Store
from edge_gateway.store.line_protocol import render_gateway
from edge_gateway.store.outbox import SinkBudget
from edge_gateway.store.settings import StoredTier, StoreSettings
from tests.gateway.records.transitions import too_warm
from tests.gateway.sinks.influx.setup.page import result_faults
from tests.gateway.sinks.influx.setup.place import DAY, MINUTE, WINDOWS, target
from tests.gateway.store.fleet import closed, closed_states
from tests.servers.influx import Influx

HERE = Path(__file__).parent


def charts() -> dict[str, dict[str, Any]]:
    """Every cell of the dashboard, by name."""
    (dashboard,) = [one["spec"] for one in documents_for(WINDOWS) if one["kind"] == "Dashboard"]
    return {chart["name"]: chart for chart in dashboard["charts"]}


def queries() -> dict[str, str]:
    """Every Flux query of the templates, by where it stands."""
    cells = {f"cell {name}": q["query"] for name, c in charts().items() for q in c.get("queries", ())}
    others = [(one["kind"], one["spec"]) for one in documents_for(WINDOWS) if "query" in one["spec"]]
    return cells | {f"{kind} {spec['name']}": spec["query"] for kind, spec in others}


def with_choices(query: str) -> str:
    """The query as the dashboard runs it: imports first, then what is chosen."""
    chosen = {
        "fleet_windows": '"telemetry"',
        "fleet_site": '"berlin"',
        "fleet_device": '"frz-1"',
        "fleet_metric": '"temperature"',
        "timeRangeStart": "-1h",
        "timeRangeStop": "now()",
        "windowPeriod": "1m",
    }
    option = f"option v = {{{', '.join(f'{name}: {value}' for name, value in chosen.items())}}}\n"
    imports = "".join(re.findall(r'^import ".*"\n', query, re.MULTILINE))
    return imports + option + re.sub(r'^import ".*"\n', "", query, flags=re.MULTILINE)


@pytest.fixture
async def data(clean: Influx, tmp_path: Path) -> Influx:
    """Three minutes of two freezers and a door, three alerts, and the gateway's counters, as the product writes them.

    One alert has been firing for twenty days, and has no value.
    """
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
    alert = too_warm(id="a", rule="Warm", value=-9.0, at=start)
    effects = StoreEffects(
        start,
        named,
        (TextName(0, "false"), TextName(1, "true")),
        windows=(closed(0, readings),),
        states=(closed_states(0, [(2, start, 0), (2, start + 5, 1)]),),
        alerts=(
            structs.replace(alert, at=start - 20 * DAY, rule="Old", level="warning", value=None),
            structs.replace(alert, at=start - 60_000, rule="Cold"),
            alert,
            structs.replace(alert, at=start + 1_000, event="repeat", cause="time"),
            structs.replace(alert, at=start + 60_000, rule="Cold", state="resolved", event="resolved"),
            structs.replace(alert, at=start + 60_001, rule="Cold", state="resolved", event="released"),
        ),
    )
    settings = StoreSettings(
        tuple(StoredTier(window.every, window.bucket, window.keep) for window in WINDOWS),
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
    assert values("cell Too late") == ["4"]
    assert values("cell Quality of the site") == ["1"]
    assert values("Variable fleet_site") == ["berlin"]
    assert values("Variable fleet_metric") == ["temperature"]
    assert values("Variable fleet_device") == ["frz-1", "frz-2"]
    band = {row["result"]: float(row["_value"]) for row in rows["cell The device: least, mean and greatest"]}
    assert band == {"mean": -13.5, "max": -11.0, "min": -16.0}
    site = rows["cell The site: least, mean and greatest"]
    assert {row["line"]: float(row["_value"]) for row in site} == {
        "mean": -13.0,
        "greatest": -10.0,
        "least": -16.0,
    }
    assert len(site) == 9
    assert sorted(values("cell Spread of the site")) == ["-12.5", "-13.5"]
    states = rows["cell States of the site"]
    assert [(row["device"], row["_value"]) for row in states] == [("door-1", "true")]
    assert {(row["_field"], row["_value"]) for row in rows["cell Gateway, messages a second"]} == {
        ("received", "1"),
        ("new", "1"),
        ("duplicate", "0"),
    }
    uncounted = {row["_field"] for row in rows["cell Gateway, values not counted"]}
    assert uncounted == {"bad", "refused", "too_late"}
    assert len(rows["CheckDeadman Gateway silent"]) == 3


def as_shown(chart: dict[str, Any], rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Rows of a table with a column of numbers to sort by, as the page sorts them: ascending."""
    return sorted(rows, key=lambda row: float(row[chart["tableOptions"]["sortBy"]]))


async def test_what_fires_is_shown_however_long_ago_it_began(data: Influx) -> None:
    found = {
        name: data.query(with_choices(charts()[name]["queries"][0]["query"]))
        for name in ("Alerts firing now", "Firing now", "Alerts, newest first")
    }
    assert [row["_value"] for row in found["Alerts firing now"]] == ["2"]
    firing = as_shown(charts()["Firing now"], found["Firing now"])
    assert [(row["rule"], row["level"], row["value"]) for row in firing] == [
        ("Warm", "critical", "-9"),
        ("Old", "warning", "–"),
    ]
    transitions = as_shown(charts()["Alerts, newest first"], found["Alerts, newest first"])
    assert [(row["rule"], row["state"]) for row in transitions] == [
        ("Cold", "resolved"),
        ("Warm", "firing"),
        ("Cold", "firing"),
    ]


async def test_a_window_that_some_devices_may_still_have_open_is_left_out_of_the_sites_lines(
    data: Influx,
) -> None:
    waiting = (replace(WINDOWS[0], settled=4 * MINUTE), *WINDOWS[1:])
    (board,) = [one["spec"]["charts"] for one in documents_for(waiting) if one["kind"] == "Dashboard"]
    (chart,) = [one for one in board if one["name"] == "The site: least, mean and greatest"]
    rows = data.query(with_choices(chart["queries"][0]["query"]))
    assert len(rows) == len(["greatest", "least", "mean"]) * 2, "of three windows the newest is younger"


async def test_the_greatest_of_the_newest_means_comes_first(data: Influx) -> None:
    chart = charts()["Newest means of the site, greatest first"]
    rows = as_shown(chart, data.query(with_choices(chart["queries"][0]["query"])))
    assert [(row["device"], row["_value"]) for row in rows] == [("frz-2", "-12.5"), ("frz-1", "-13.5")]


async def test_the_page_draws_what_the_queries_answer(data: Influx) -> None:
    for name, chart in charts().items():
        for query in chart.get("queries", ()):
            assert result_faults(chart, grouped(data, with_choices(query["query"]))) == [], name


async def test_the_guard_sees_results_that_the_page_would_draw_wrongly(data: Influx) -> None:
    for bad in yaml.safe_load((HERE / "bad_results.yml").read_text()):
        faults = result_faults(bad["chart"], grouped(data, with_choices(bad["query"])))
        assert any(bad["fault"] in fault for fault in faults), (bad["fault"], faults)


def grouped(influx: Influx, query: str) -> list[dict[str, str]]:
    """The rows of a query, each with the names of its group key's columns in `#group`."""
    rows = []
    for block in influx.annotated(query):
        names, group = block[0], next(line for line in block[1] if line and line[0] == "#group")
        result = next(line for line in block[1] if line[0] == "#default")[1]
        key = ",".join(name for name, one in zip(names, group, strict=False) if one == "true")
        for line in block[2]:
            row = {name: value for name, value in zip(names, line, strict=True) if name}
            rows.append(row | {"#group": key, "result": row.get("result") or result})
    return rows


async def test_the_text_of_the_check_says_whether_the_gateway_is_silent_or_heard(data: Influx) -> None:
    (check,) = [
        one
        for one in data.call("GET", f"/api/v2/checks?org={data.org}")["checks"]
        if one["name"] == "Gateway silent"
    ]
    flux = data.call("GET", f"/api/v2/checks/{check['id']}/query")["flux"]
    function = re.search(r"^messageFn = .*\n.*$", flux, re.MULTILINE)
    assert function is not None
    rows = 'array.from(rows: [{gateway: "gw", _level: "crit"}, {gateway: "gw", _level: "ok"}])'
    said = data.query(
        f'import "array"\n{function[0]}\n{rows} |> map(fn: (r) => ({{_value: messageFn(r: r)}}))'
    )
    silent, heard = [row["_value"] for row in said]
    assert silent.startswith("crit: gateway gw")
    assert heard.startswith("ok: gateway gw")
