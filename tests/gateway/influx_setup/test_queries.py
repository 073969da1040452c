"""Every query of the templates on a real server, over data as the product writes it."""

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from edge_gateway.durable.effects import AlertChange, SeriesName, StoreEffects, TextName
from edge_gateway.durable.outbox import SinkBudget
from edge_gateway.durable.settings import StoreSettings, Tier
from edge_gateway.durable.store import Store
from edge_gateway.influx_setup.apply import apply
from edge_gateway.influx_setup.documents import documents_for
from edge_gateway.sinks.influx_write import InfluxWriter
from edge_gateway.sinks.line_protocol import render_gateway
from fleet_proof.servers.influx import Influx
from tests.gateway.durable.fleet import closed, closed_states
from tests.gateway.influx_setup.place import MINUTE, WINDOWS, target


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
    async with InfluxWriter(clean.url, clean.org, clean.token) as writer:
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
    assert values("Variable fleet_site") == ["berlin"]
    assert values("Variable fleet_device") == ["frz-1", "frz-2"]
    assert values("Variable fleet_metric") == ["temperature"]
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
