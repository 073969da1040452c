"""The tables of docs/operate.md that are made from the program: status, problems and counters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from types import UnionType
from typing import Any, Final, get_args, get_origin

from msgspec import Struct

from edge_gateway.status.catalogue import Problem
from edge_gateway.status.counters import AllCounters, Counters
from edge_gateway.status.fields import declared
from edge_gateway.status.problem import Lasts
from edge_gateway.status.report import GatewayStatus

BEGIN: Final = "<!-- made by `python -m schemas`: {} -->\n"
END: Final = "<!-- end -->\n"


def with_tables(page: str) -> str:
    """Return a page with its tables made anew. ValueError: a table has no place in it."""
    for name, rows in TABLES.items():
        begin = BEGIN.format(name)
        found = re.search(f"{re.escape(begin)}.*?{re.escape(END)}", page, re.DOTALL)
        if found is None:
            raise ValueError(f"the page has no place for the table of {name}: {begin.strip()}")
        page = f"{page[: found.start()]}{begin}{_markdown(rows())}{END}{page[found.end() :]}"
    return page


def problem_rows() -> Iterator[tuple[str, ...]]:
    """Yield a row for each problem; those that differ in nothing but their code share one."""
    yield ("code", "gravity", "what it means", "over when", "what to do")
    shared: dict[tuple[str, ...], list[str]] = {}
    for problem in Problem:
        entry = problem.entry
        gravity = " or ".join(entry.gravities)
        over = f"the gateway restarts: {entry.over.how}" if entry.latches else entry.over.how
        over += "; a restart changes nothing" if isinstance(entry.over, Lasts) else ""
        shared.setdefault((gravity, entry.raised, over, entry.action), []).append(f"`{problem.code}`")
    for (gravity, *rest), codes in shared.items():
        yield (", ".join(codes), gravity, *rest)


def counter_rows() -> Iterator[tuple[str, ...]]:
    """Yield a row for each counter."""
    yield ("counter", "counts", "since")
    running = {*Counters.__struct_fields__, "log_lines_left_out"}
    for of in declared(AllCounters):
        yield (f"`{of.wire}`", of.meaning, "start" if of.name in running else "spool created")


def status_rows() -> Iterator[tuple[str, ...]]:
    """Yield a row for each field of the report, those of a section by their path."""
    yield ("field", "meaning", "unit")
    yield from _fields(GatewayStatus, "")


def _fields(section: type[Struct], path: str) -> Iterator[tuple[str, ...]]:
    for of in declared(section):
        place, inner = f"{path}{of.wire}", _section_of(of.of)
        if inner is None or inner is AllCounters:
            yield (f"`{place}`", of.meaning, of.unit)
        else:
            brackets = {tuple: "[]", dict: ".<name>"}.get(get_origin(of.of), "")
            yield from _fields(inner, f"{place}{brackets}.")


def _section_of(hint: Any) -> type[Struct] | None:
    """Return the section that a field holds, one of which it holds several, or None."""
    if isinstance(hint, UnionType) or get_origin(hint) is not None:
        return next((found for part in get_args(hint) if (found := _section_of(part))), None)
    return hint if isinstance(hint, type) and issubclass(hint, Struct) else None


TABLES: Final = {"status": status_rows, "problems": problem_rows, "counters": counter_rows}


def _markdown(rows: Iterable[tuple[str, ...]]) -> str:
    head, *rest = rows
    lines = [head, ("---",) * len(head), *rest]
    return "".join(f"| {' | '.join(one.replace('|', chr(92) + '|') for one in line)} |\n" for line in lines)
