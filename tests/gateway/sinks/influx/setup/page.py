"""What InfluxDB's own page makes of a template, as faults found without a browser.

The queries alone prove nothing about the picture: the page hides a fixed first column, sorts ascending only, pairs a
band's lines by the whole group key, gives several yields colours by chance, and writes 0.5 as 500m with a base of 10.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Chart = Mapping[str, Any]
Row = Mapping[str, str]
WHITE = "#ffffff"
LEAST_GAUGE = 3
TIME_FORMATS = frozenset({"HH:mm", "HH:mm:ss", "YYYY/MM/DD HH:mm:ss", "YYYY-MM-DD HH:mm:ss ZZ"})
"""Of those the page knows, the ones used here. It takes its longest one for any other."""


def template_faults(chart: Chart) -> list[str]:
    """What is wrong with a cell by its template alone."""
    return [*_any_kind(chart), *_of_kind(chart)]


def check_faults(spec: Mapping[str, Any]) -> list[str]:
    """What is wrong with a check: its text is written for each level, and must say which."""
    return [] if "r._level" in spec["statusMessageTemplate"] else ["the text does not say which level it is"]


def result_faults(chart: Chart, rows: Sequence[Row]) -> list[str]:
    """What is wrong with a cell by the rows that a server answered; they have the columns of an annotated answer."""
    if not rows:
        return ["no rows"]
    if chart["kind"] == "Table":
        return _table_rows(chart, rows)
    return _band_rows(chart, rows) if chart["kind"] == "Band" else []


def _any_kind(chart: Chart) -> Iterator[str]:
    text = " ".join(query["query"] for query in chart.get("queries", ()))
    if any(str(axis.get("base")) == "10" for axis in chart.get("axes", ())):
        yield "an axis of base 10 writes 0.5 as 500m"
    if re.search(r"\b(now|firing)\b", chart["name"], re.IGNORECASE) and "v.timeRange" in text:
        yield "what holds now depends on the range that is chosen"
    if chart.get("timeFormat", "HH:mm") not in TIME_FORMATS:
        yield "a time format the page does not know"
    if chart["kind"] != "Markdown" and not (chart.get("note") and chart.get("noteOnEmpty")):
        yield "an empty cell says nothing"


def _of_kind(chart: Chart) -> Iterator[str]:
    kind = chart["kind"]
    if kind == "Gauge" and chart["height"] < LEAST_GAUGE:
        yield "a gauge of less than three rows is cut off"
    if kind == "Xy" and sum(query["query"].count("yield(") or 1 for query in chart["queries"]) > 1:
        yield "several yields get colours by their arrival"
    if kind in {"Xy", "Band"} and not chart.get("staticLegend", {}).get("show"):
        yield "nothing says which line is which"
    if kind == "Table":
        yield from _table(chart)


def _table(chart: Chart) -> Iterator[str]:
    options = chart["tableOptions"]
    if options.get("fixFirstColumn"):
        yield "a fixed first column is hidden"
    if options.get("sortBy") not in {one["fieldName"] for one in chart["fieldOptions"]}:
        yield "it sorts by a column it does not have"
    if any(colour["hex"].lower() == WHITE for colour in chart["colors"]):
        yield "white text cannot be read in light mode"
    if re.search(r"greatest|newest", chart["name"], re.IGNORECASE) and options.get("sortBy") != "order":
        yield "the page sorts ascending only"


def _table_rows(chart: Chart, rows: Sequence[Row]) -> list[str]:
    faults = []
    by = chart["tableOptions"].get("sortBy", "")
    shown = [one["fieldName"] for one in chart["fieldOptions"]]
    if by not in rows[0]:
        faults.append(f"the query makes no column '{by}' to sort by")
    if missing := [name for name in shown if name not in rows[0]]:
        faults.append(f"the query makes no column {missing}")
    if any(row.get(name, "") == "" for row in rows for name in shown):
        faults.append("a null is shown")
    return faults


def _band_rows(chart: Chart, rows: Sequence[Row]) -> list[str]:
    """The page pairs mean, least and greatest by the group key without the result's name."""
    names = {chart["mainColumn"], chart["upperColumn"], chart["lowerColumn"]}
    keys: dict[str, set[tuple[tuple[str, str], ...]]] = defaultdict(set)
    for row in rows:
        key = {name: row[name] for name in row["#group"].split(",") if name in row}
        keys[row["result"]].add(tuple(sorted(key.items())))
    faults = []
    if keys.keys() != names:
        faults.append(f"its yields are {sorted(keys)}, not {sorted(names)}")
    if len({frozenset(found) for found in keys.values()}) > 1:
        faults.append("its yields differ in more than their names, and find no pairs")
    return faults
