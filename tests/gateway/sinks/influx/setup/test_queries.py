"""Every query of the templates on a real server, over data as the product writes it."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_gateway.sinks.influx.setup.documents import documents_for
from tests.gateway.sinks.influx.setup.every_domain import FREEZERS, OTHERS, write_every_domain
from tests.gateway.sinks.influx.setup.page import result_faults
from tests.gateway.sinks.influx.setup.place import WINDOWS
from tests.servers.influx import Influx
from tests.templates import uninstall

HERE = Path(__file__).parent


@cache
def charts() -> dict[str, dict[str, Any]]:
    """Every cell of the dashboards, by the dashboard's template and its own name."""
    boards = [one for one in documents_for(WINDOWS) if one["kind"] == "Dashboard"]
    return {
        f"{board['metadata']['name']}: {chart['name']}": chart
        for board in boards
        for chart in board["spec"]["charts"]
    }


def chart(name: str) -> dict[str, Any]:
    return charts()[name]


def query_of(name: str) -> str:
    """The query of a cell, as its dashboard runs it."""
    return with_choices(chart(name)["queries"][0]["query"], site_of(name))


def site_of(name: str) -> str:
    """The site to choose for a dashboard: cells of machines, and by tags, have nothing of freezers."""
    tagged = ("section", "machine", "region")
    return "hall" if name.startswith("fleet-factory") or any(tag in name for tag in tagged) else "berlin"


def with_choices(query: str, site: str = "berlin") -> str:
    """The query as the dashboard runs it: imports first, then what is chosen."""
    chosen = {
        "fleet_windows": '"telemetry"',
        "fleet_site": f'"{site}"',
        "fleet_device": '"frz-1"',
        "fleet_metric": '"temperature"',
        "timeRangeStart": "-1h",
        "timeRangeStop": "now()",
        "windowPeriod": "1m",
    }
    option = f"option v = {{{', '.join(f'{name}: {value}' for name, value in chosen.items())}}}\n"
    imports = "".join(re.findall(r'^import ".*"\n', query, re.MULTILINE))
    return imports + option + re.sub(r'^import ".*"\n', "", query, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def data(_session_influx: Influx, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    """A server with all dashboards and a fleet of every domain."""
    influx = _session_influx
    influx.heal()
    uninstall(influx)
    asyncio.run(write_every_domain(influx, tmp_path_factory.mktemp("store")))
    yield influx
    uninstall(influx)


def test_every_query_of_every_cell_finds_what_was_written(data: Influx) -> None:
    rows = {name: data.query(query_of(name)) for name, one in charts().items() if one.get("queries")}
    assert [name for name, found in rows.items() if not found] == []

    def values(name: str) -> list[str]:
        return [row["_value"] for row in rows[name]]

    assert values("fleet-overview: Critical now") == ["1"]
    assert values("fleet-overview: Warning now") == ["7"]
    assert values("fleet-overview: Silent now") == ["0"]
    assert values("fleet-overview: Devices") == [str(len(FREEZERS) + len(OTHERS))]
    assert 0 < float(*values("fleet-overview: Gateway heard")) < 600
    assert values("fleet-overview: Not counted") == ["4"], "what was bad before the range began is not of it"
    band = {
        row["result"]: float(row["_value"])
        for row in rows["fleet-overview: The device: least, mean and greatest"]
    }
    assert band == {"mean": -13.5, "max": -11.0, "min": -16.0}
    site = rows["fleet-overview: The site: least, mean and greatest"]
    assert {row["line"]: float(row["_value"]) for row in site} == {
        "mean": -13.0,
        "greatest": -10.0,
        "least": -16.0,
    }
    assert len(site) == 9
    assert sorted(values("fleet-overview: Spread of the site")) == ["-12.5", "-13.5"]
    states = rows["fleet-overview: States of the site"]
    assert [(row["device"], row["_value"]) for row in states] == [("frz-1", "open"), ("frz-2", "closed")]
    assert values("fleet-device: Readings") == ["18"]
    assert values("fleet-device: Quality") == ["1"]
    assert (values("fleet-alerts: Began"), values("fleet-alerts: Ended")) == (["7"], ["1"])
    assert values("fleet-gateway: Messages") == ["120"]
    assert values("fleet-gateway: Missing now") == ["5"]
    assert values("fleet-cold-chain: Open doors now") == ["1"]
    assert values("fleet-cold-chain: Warmest freezer") == ["-12.5"]
    rates = {(row["_field"], row["_value"]) for row in rows["fleet-gateway: Messages a second"]}
    assert rates == {("received", "1"), ("new", "1"), ("duplicate", "0")}


def test_every_variable_and_check_finds_what_was_written(data: Influx) -> None:
    others = [(one["kind"], one["spec"]) for one in documents_for(WINDOWS) if "query" in one["spec"]]
    rows = {f"{kind} {spec['name']}": data.query(with_choices(spec["query"])) for kind, spec in others}
    found = {name: [row["_value"] for row in own] for name, own in rows.items()}
    assert found["Variable fleet_site"] == ["berlin", "hall"]
    assert found["Variable fleet_metric"] == ["battery", "temperature"]
    assert found["Variable fleet_device"] == ["frz-1", "frz-2"]
    assert len(rows["CheckDeadman Gateway silent"]) == 3


def test_the_worst_devices_are_shown_with_the_limits_they_must_not_cross(data: Influx) -> None:
    found = data.query(query_of("fleet-overview: The ten worst devices of the site"))
    lines = {(row["line"], row["_value"]) for row in found}
    assert {line for line, _ in lines} == {"frz-1", "frz-2", "limit, critical", "limit, warning"}
    assert {("limit, critical", "5"), ("limit, warning", "2")} < lines
    low = query_of("fleet-overview: The ten worst devices of the site").replace('"temperature"', '"battery"')
    assert {row["line"] for row in data.query(low)} == {"frz-1", "frz-2", "limit, warning"}


def test_what_is_nearest_to_a_limit_comes_first_and_says_how_near(data: Influx) -> None:
    name = "fleet-factory: Nearest to a limit at the site"
    rows = as_shown(chart(name), data.query(query_of(name)))
    assert {row["site"] for row in rows} == {"hall"}
    assert {(row["value"], row["limit"], row["share"]) for row in rows} == {("10", "20", "50 %")}


def test_sites_are_compared_by_all_of_their_readings(data: Influx) -> None:
    rows = data.query(query_of("fleet-sites: Sites"))
    assert [(row["site"], row["devices"], row["critical"], row["warning"]) for row in rows] == [
        ("berlin", "2", "1", "3"),
        ("hall", "2", "0", "4"),
    ]
    assert [(row["mean"], row["min"], row["max"]) for row in rows] == [
        ("-14", "-18", "-10"),
        ("10", "10", "10"),
    ]


def as_shown(chart: dict[str, Any], rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Rows of a table with a column of numbers to sort by, as the page sorts them: ascending."""
    return sorted(rows, key=lambda row: float(row[chart["tableOptions"]["sortBy"]]))


def test_what_fires_is_shown_however_long_ago_it_began(data: Influx) -> None:
    name = "fleet-overview: Firing now"
    firing = as_shown(chart(name), data.query(query_of(name)))
    assert [(row["rule"], row["level"], row["value"]) for row in (firing[0], firing[-1])] == [
        ("Warm", "critical", "-9"),
        ("Older", "warning", "-9"),
    ]
    assert [(row["rule"], row["age"]) for row in firing[-2:]] == [("Old", "20 d"), ("Older", "40 d")]
    assert len(firing) == 8


def test_transitions_are_shown_with_their_cause_the_newest_first(data: Influx) -> None:
    name = "fleet-alerts: Alerts, newest first"
    rows = as_shown(chart(name), data.query(query_of(name)))
    assert [(row["rule"], row["event"], row["cause"]) for row in (rows[0], rows[-1])] == [
        ("Cold", "resolved", "reading"),
        ("Cold", "firing", "reading"),
    ]
    assert len(rows) == 8


def test_a_window_that_some_devices_may_still_have_open_is_left_out_of_the_sites_lines(
    data: Influx,
) -> None:
    lines = data.query(query_of("fleet-overview: The site: least, mean and greatest"))
    newest = max(datetime.fromisoformat(row["_time"]) for row in lines)
    age = datetime.now(UTC) - newest + timedelta(seconds=30)  # a loaded server answers that much later
    waiting = (replace(WINDOWS[0], settled=int(age.total_seconds() * 1000)), *WINDOWS[1:])
    boards = {
        one["metadata"]["name"]: one["spec"]["charts"]
        for one in documents_for(waiting)
        if one["kind"] == "Dashboard"
    }
    (one,) = [one for one in boards["fleet-overview"] if one["name"] == "The site: least, mean and greatest"]
    rows = data.query(with_choices(one["queries"][0]["query"]))
    assert len(rows) == len(["greatest", "least", "mean"]) * 2, "of three windows the newest is younger"


def test_the_greatest_of_the_newest_means_comes_first(data: Influx) -> None:
    name = "fleet-overview: Newest of the site, greatest first"
    rows = as_shown(chart(name), data.query(query_of(name)))
    assert [(row["device"], row["value"]) for row in rows] == [("frz-2", "-12.5 °C"), ("frz-1", "-13.5 °C")]


def test_the_page_draws_what_the_queries_answer(data: Influx) -> None:
    for name, one in charts().items():
        if one.get("queries"):
            assert result_faults(one, grouped(data, query_of(name))) == [], name


def test_the_guard_sees_results_that_the_page_would_draw_wrongly(data: Influx) -> None:
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


def test_the_text_of_the_check_says_whether_the_gateway_is_silent_or_heard(data: Influx) -> None:
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
