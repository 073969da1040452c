"""Dashboards that serve every fleet: the overview, one device, sites beside each other."""

from __future__ import annotations

from typing import Any

from dashboards import common as c
from dashboards import flux
from dashboards.cells import (
    AMBER,
    BLUE,
    CLOCK,
    GREEN,
    RED,
    dashboard,
    histogram,
    lines,
    row,
    stat,
    table,
    wide,
)

OWN = "r.site == v.fleet_site and r.device == v.fleet_device"
TAGS = "Forward the tag in `gateway.tags` of gateway.yaml to see this"


def overview() -> dict[str, Any]:
    """What needs a person now, and where; the first 720 pixels say it."""
    spread = f"{flux.windows('mean', c.CHOSEN)}\nwindows |> last()"
    return dashboard(
        "fleet-overview",
        "Fleet overview",
        "What fires, who is silent, and the worst devices of a site",
        row(
            2,
            c.firing_count("critical", RED),
            c.firing_count("warning", AMBER),
            c.silent_count(),
            c.devices_count(),
            c.heard(),
            c.not_counted(),
        ),
        row(5, wide(7, c.firing_table()), wide(5, c.newest_table())),
        row(5, c.worst("The ten worst devices of the site")),
        row(5, c.device_band(), c.site_lines("The site: least, mean and greatest")),
        row(
            4,
            wide(5, c.states_table()),
            wide(5, histogram("Spread of the site", spread, note=c.NO_WINDOWS)),
            wide(2, c.about("Choose **site**, **metric**, **device** and **windows** above.")),
        ),
    )


def device() -> dict[str, Any]:
    """One device: what it measures, what fires, what it did."""
    note = "The chosen device has no windows in the time range"
    chosen = f"{OWN} and r.metric == v.fleet_metric"
    readings = f"{flux.windows('count', chosen)}\nwindows |> group() |> sum()"
    quality = f"{flux.windows('quality', chosen)}\nwindows |> group() |> mean()"
    columns = {"metric": "metric", "value": "mean", "unit": "unit", "_time": "window"}
    every = table(
        "Every metric of the device", flux.newest_of_all(OWN), columns, note=note, order="metric", clock=CLOCK
    )
    return dashboard(
        "fleet-device",
        "One device",
        "A device's values, states, alerts and readings",
        row(
            2,
            c.newest_value("Newest mean", chosen, "last"),
            c.newest_value("Least", chosen, "min", field="min"),
            c.newest_value("Greatest", chosen, "max", field="max"),
            stat("Readings", readings, note=note, steps={0: BLUE}),
            stat("Quality", quality, note=note, steps={0: RED, 0.7: AMBER, 0.9: GREEN}, digits=2),
            c.silent_count(OWN, "The device is silent", note),
        ),
        row(5, wide(8, c.device_band()), wide(4, every)),
        row(
            4,
            wide(8, c.transitions_table("Alerts of the device, newest first", OWN)),
            wide(4, c.states_table(OWN, "States of the device")),
        ),
    )


def sites() -> dict[str, Any]:
    """Sites beside each other; sections, machines and regions where their tags are forwarded."""
    metric = "r.metric == v.fleet_metric"
    note = "No site has windows of the metric in the time range"
    columns = {
        "site": "site",
        "devices": "devices",
        "critical": "critical",
        "warning": "warning",
        "mean": "mean",
        "min": "least",
        "max": "greatest",
    }
    return dashboard(
        "fleet-sites",
        "Sites compared",
        "One metric over all sites, and by section, machine and region",
        row(
            4,
            table("Sites", flux.of_sites(), columns, note=note, order="site"),
            c.nearest("Nearest to a limit", metric, of=metric),
        ),
        row(5, lines("Mean of each site", flux.mean_by("site", metric), note=note)),
        row(
            5,
            lines("Mean of each section of the site", flux.mean_by("section", c.CHOSEN), note=TAGS),
            lines("Mean of each machine of the site", flux.mean_by("machine", c.CHOSEN), note=TAGS),
            lines("Mean of each region", flux.mean_by("region", metric), note=TAGS),
        ),
        row(2, c.about("Choose **metric** above, and **site** for its sections and machines.")),
    )
