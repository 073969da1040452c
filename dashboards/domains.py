"""Dashboards of the four domains, with their units, limits and colours."""

from __future__ import annotations

from typing import Any

from dashboards import common as c
from dashboards import flux
from dashboards.cells import (
    AMBER,
    CLOCK,
    FAR_BELOW,
    GREEN,
    RED,
    Cell,
    dashboard,
    lines,
    row,
    stat,
    table,
    wide,
)
from dashboards.general import TAGS


def _rules(names: str) -> str:
    return f"r.rule =~ /^({names})/"


def _counts(rules: str, devices: str) -> tuple[int, tuple[Cell, ...]]:
    """The first row: what fires of some rules, who is silent, what was not counted."""
    return row(
        2,
        c.firing_count("critical", RED, rules),
        c.firing_count("warning", AMBER, rules),
        c.silent_count(devices),
        c.not_counted(),
    )


def cold_chain() -> dict[str, Any]:
    """Freezers: the warmest, doors, batteries."""
    freezers = 'r.type == "freezer" and r.metric == "temperature"'
    batteries = 'r.type == "freezer" and r.metric == "battery"'
    own, none = _rules("Freezer"), "No freezer in the time range"
    warmest = f"{flux.windows('mean', freezers)}\nwindows |> last() |> group() |> max()"
    low = f"""{flux.windows("mean", batteries)}
windows |> last() |> group() |> filter(fn: (r) => r._value < 20.0, onEmpty: "keep") |> count()"""
    by_name = '    |> keep(columns: ["device", "site", "_time"])\n    |> sort(columns: ["device"])'
    shown = {"device": "device", "site": "site", "_time": "window"}
    return dashboard(
        "fleet-cold-chain",
        "Cold chain",
        "Freezers: temperatures against their limits, doors, batteries",
        row(
            2,
            c.firing_count("critical", RED, own),
            c.firing_count("warning", AMBER, own),
            stat(
                "Warmest freezer",
                warmest,
                note=none,
                steps={FAR_BELOW: GREEN, -14: AMBER, -10: RED},
                suffix=" °C",
                digits=1,
            ),
            stat(
                "Open doors now",
                flux.open_doors("    |> count()"),
                note="No door",
                steps={0: GREEN, 1: AMBER},
            ),
            stat("Batteries below 20 %", low, note=none, steps={0: GREEN, 1: AMBER}),
            c.silent_count('r.type == "freezer"'),
        ),
        row(5, wide(7, c.firing_table(condition=own)), wide(5, c.ranked("Warmest freezers", freezers, "°C"))),
        row(
            5,
            c.worst(
                "The ten warmest freezers of the site", f"{freezers} and r.site == v.fleet_site", unit="°C"
            ),
        ),
        row(
            5,
            wide(6, lines("Mean of each site", flux.mean_by("site", freezers), note=none, unit="°C")),
            wide(3, c.ranked("Lowest batteries", batteries, "%", lowest=True)),
            wide(
                3,
                table(
                    "Which doors are open",
                    flux.open_doors(by_name),
                    shown,
                    note="No door is open",
                    order="device",
                    clock=CLOCK,
                ),
            ),
        ),
    )


def factory() -> dict[str, Any]:
    """Machines: what is nearest to a limit, by section and machine."""
    here = "r.site == v.fleet_site"
    pressure = flux.mean_by("section", here, 'r.metric == "pressure"')
    temperature = flux.mean_by("section", here, 'r.metric == "temperature"')
    vibration = flux.mean_by("machine", here, 'r.metric == "vibration"')
    return dashboard(
        "fleet-factory",
        "Factory",
        "Temperature, vibration, power, humidity and compressed air against their limits",
        _counts(here, here),
        row(5, c.firing_table(condition=here), c.nearest("Nearest to a limit at the site", here, of=here)),
        row(
            5,
            c.metric_worst("Temperature, the ten worst", "temperature", "°C", here),
            c.metric_worst("Vibration, the ten worst", "vibration", "mm/s", here),
        ),
        row(
            5,
            c.metric_worst("Power, the ten worst", "energy", "kW", here),
            c.metric_worst("Humidity, the ten worst", "humidity", "%", here),
        ),
        row(
            5,
            lines("Compressed air of each section", pressure, note=TAGS, unit="bar"),
            lines("Temperature of each section", temperature, note=TAGS, unit="°C"),
            lines("Vibration of each machine", vibration, note=TAGS, unit="mm/s"),
        ),
    )


def water() -> dict[str, Any]:
    """Sampling points: determinands against their limits, region by region."""
    points = 'r.type == "water-point"'
    own = _rules("Bod|Ammonia|Oil|Lead|Ph|Oxygen|Turbidity|WaterPoint")
    return dashboard(
        "fleet-water",
        "Water quality",
        "Determinands against their limits, by region",
        _counts(own, points),
        row(5, c.firing_table(condition=own), c.nearest("Nearest to a limit", points)),
        row(
            5,
            c.metric_worst("Ammonia (N), the ten worst points", "ammonia_n", "mg/l"),
            c.metric_worst("BOD ATU, the ten worst points", "bod_atu", "mg/l"),
        ),
        row(
            5,
            c.metric_worst("Lead as Pb, the ten worst points", "lead", "mg/l"),
            c.metric_worst("Oil, the ten worst points", "oil", "mg/l"),
        ),
        row(
            5,
            c.metric_worst("pH, the ten worst points", "ph", ""),
            c.by_site("Dissolved oxygen of each site", "dissolved_oxygen", "mg/l"),
            c.by_site("Turbidity of each site", "turbidity", "NTU"),
        ),
    )


def air() -> dict[str, Any]:
    """Roadside stations: pollutants of each site."""
    stations = 'r.type == "air-station"'
    own = _rules("Carbon|Nitrogen|Benzene")
    return dashboard(
        "fleet-air",
        "Air quality",
        "Carbon monoxide, nitrogen oxides and benzene by site",
        _counts(own, stations),
        row(
            5,
            c.metric_worst("CO, the ten worst stations", "co_gt", "mg/m³"),
            c.metric_worst("NOx, the ten worst stations", "nox_gt", "ppb"),
        ),
        row(
            5,
            c.metric_worst("Benzene, the ten worst stations", "c6h6_gt", "µg/m³"),
            c.by_site("NO₂ of each site", "no2_gt", "µg/m³", stations),
        ),
        row(
            5,
            wide(6, c.firing_table(condition=own)),
            wide(3, c.by_site("Temperature of each site", "t", "°C", stations)),
            wide(3, c.by_site("Relative humidity of each site", "rh", "%", stations)),
        ),
    )


def weather() -> dict[str, Any]:
    """Weather stations, site by site."""
    stations = 'r.type == "weather-station"'
    own = _rules("Heat|Storm|PressureFalls|Frost|Particulates|TemperatureJumps")
    return dashboard(
        "fleet-weather",
        "Weather",
        "Temperature, humidity, pressure, wind and particulate matter by site",
        _counts(own, stations),
        row(
            5,
            c.by_site("Temperature of each site", "temperature", "°C", stations),
            c.by_site("Relative humidity of each site", "humidity", "%", stations),
        ),
        row(
            5,
            c.by_site("Pressure of each site", "pressure", "hPa", stations),
            c.metric_worst("Wind, the ten worst stations", "wind", "m/s", stations),
        ),
        row(
            5,
            c.metric_worst("PM10, the ten worst stations", "pm10", "µg/m³", stations),
            c.firing_table(condition=own),
        ),
    )
