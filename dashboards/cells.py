"""Cells of a dashboard, as templates of InfluxDB have them.

InfluxDB's page does not display everything as its query says, so cells are made here alone: a table sorts ascending by
a hidden column `order` and never fixes its first column; an Xy has one yield and a legend; an axis has no base, which
would write 0.5 as 500m; only time formats that the page knows are used, because it shows all others in its longest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

Cell = dict[str, Any]

GREEN, RED, AMBER, BLUE, GREY = "#32B08C", "#DC4E58", "#F48D38", "#0098F0", "#7C8090"
LINES: Final = ("#0098F0", "#8E1FC3", "#F48D38")
CLOCK, MOMENT = "HH:mm:ss", "YYYY/MM/DD HH:mm:ss"
COLUMNS: Final = 12
FAR_BELOW: Final = -1_000_000_000_000


def stat(
    name: str, query: str, *, note: str, steps: Mapping[float, str], suffix: str = "", digits: int = 0
) -> Cell:
    """A number. `steps`: its colour from each value on."""
    return {
        **_cell("Single_Stat", name, query, note),
        "decimalPlaces": digits,
        "suffix": suffix,
        "colors": [_colour("text", hex_, value) for value, hex_ in steps.items()],
    }


def table(
    name: str,
    query: str,
    columns: Mapping[str, str],
    *,
    note: str,
    order: str = "order",
    clock: str = MOMENT,
    digits: int = 2,
) -> Cell:
    """A table of these columns of the query, under these names, by the hidden column `order` or another one."""
    hidden = {} if order in columns else {order: order}
    shown = [
        _field(field, title, visible=field not in hidden) for field, title in {**hidden, **columns}.items()
    ]
    return {
        **_cell("Table", name, query, note),
        "decimalPlaces": digits,
        "timeFormat": clock,
        "tableOptions": {
            "verticalTimeAxis": True,
            "sortBy": order,
            "wrapping": "truncate",
            "fixFirstColumn": False,
        },
        "fieldOptions": shown,
        # The page takes a colour of the template only where there are two; its own is nearly invisible in light mode.
        "colors": [_colour("text", GREY, FAR_BELOW), _colour("text", GREY, 0)],
    }


def lines(
    name: str,
    query: str,
    *,
    note: str,
    unit: str = "",
    geom: str = "line",
    stacked: bool = False,
    colours: Sequence[str] = LINES,
    clock: str = "HH:mm",
) -> Cell:
    """Lines, one for each table of the query's result."""
    return {
        **_cell("Xy", name, query, note),
        "geom": geom,
        "position": "stacked" if stacked else "overlaid",
        **_plot(unit, colours, clock),
    }


def band(name: str, query: str, *, note: str, unit: str = "") -> Cell:
    """A mean between a least and a greatest value: the yields `mean`, `max` and `min` of the query."""
    return {
        **_cell("Band", name, query, note),
        "geom": "line",
        "mainColumn": "mean",
        "upperColumn": "max",
        "lowerColumn": "min",
        **_plot(unit, LINES, "HH:mm"),
    }


def histogram(name: str, query: str, *, note: str) -> Cell:
    """How many rows of the query have which value."""
    return {
        **_cell("Histogram", name, query, note),
        "xCol": "_value",
        "position": "stacked",
        "binCount": 30,
        "fillColumns": ["metric"],
        "axes": [{"name": "x", "scale": "linear"}],
        "colors": [_colour("scale", hex_, 0) for hex_ in LINES],
    }


def text(name: str, note: str) -> Cell:
    """A text, which the page heads "Note"."""
    return {"kind": "Markdown", "name": name, "note": note}


def wide(width: int, cell: Cell) -> Cell:
    """The cell with a width in columns; without one the cells of a row share it equally."""
    return {"width": width, **cell}


def row(height: int, *cells: Cell) -> tuple[int, tuple[Cell, ...]]:
    """Cells beside each other, `height` rows of 83 px high."""
    return height, cells


def _placed(given: Sequence[tuple[int, tuple[Cell, ...]]]) -> Iterator[Cell]:
    y = 0
    for height, cells in given:
        x = 0
        for cell in cells:
            width = cell.get("width", COLUMNS // len(cells))
            where = {"xPos": x, "yPos": y, "width": width, "height": height}
            yield {"kind": cell["kind"], "name": cell["name"], **where, **cell, "width": width}
            x += width
        y += height


def dashboard(
    template: str, name: str, description: str, *rows: tuple[int, tuple[Cell, ...]]
) -> dict[str, Any]:
    """A dashboard's template."""
    return {
        "apiVersion": "influxdata.com/v2alpha1",
        "kind": "Dashboard",
        "metadata": {"name": template},
        "spec": {
            "name": name,
            "description": f"{description}. Clone it before you change it",
            "associations": [{"kind": "Label", "name": "edge-fleet"}],
            "charts": list(_placed(rows)),
        },
    }


def _cell(kind: str, name: str, query: str, note: str) -> Cell:
    return {
        "kind": kind,
        "name": name,
        "note": note,
        "noteOnEmpty": True,
        "queries": [{"query": query.strip()}],
    }


def _plot(unit: str, colours: Sequence[str], clock: str) -> Cell:
    return {
        "timeFormat": clock,
        "hoverDimension": "auto",
        "xCol": "_time",
        "yCol": "_value",
        "axes": [
            {"name": "x", "scale": "linear"},
            {"name": "y", "scale": "linear", "suffix": f" {unit}" if unit else ""},
        ],
        "staticLegend": {
            "show": True,
            "heightRatio": 0.3,
            "orientationThreshold": 100_000_000,
            "colorizeRows": True,
            "opacity": 1,
        },
        "colors": [_colour("scale", hex_, 0) for hex_ in colours],
    }


def _field(field: str, title: str, *, visible: bool) -> Cell:
    return {"fieldName": field, "displayName": title, "visible": visible}


def _colour(kind: str, hex_: str, value: float) -> Cell:
    return {"name": "fleet", "type": kind, "hex": hex_, "value": value}
