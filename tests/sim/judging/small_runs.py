"""Ledgers of small runs, what a gateway says of itself, and the windows it would store."""

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fleet_sim.judging.stored import WindowKey
from fleet_sim.judging.terms import gateway_terms
from fleet_sim.judging.verify import Comparison, compare
from fleet_sim.ledger.expected import Facts
from fleet_sim.ledger.reading import Ledger, read_ledger
from fleet_sim.ledger.writing import VOID, LedgerWriter

BASE = 1_700_000_000_000
STATUS: dict[str, Any] = {
    "gateway": "gw",
    "windows": [
        {"every": 5000, "bucket": "a", "keep": 86_400_000},
        {"every": 60_000, "bucket": "b", "keep": None},
    ],
    "time": {"earliest": 1_577_836_800_000, "max_future_skew": 300_000},
    "metrics": {"temperature": {"unit": "°C", "range": [-40, 85], "missing": [-2.0]}},
    "values": {"too_late": 0},
}


class Row(NamedTuple):
    seq: int
    ts: int
    value: float
    device: int = 0
    sent: bool = True
    acked: bool = True
    code: int = 0
    void: bool = False
    quality: float | None = None
    again: bool = False


def ledger_of(
    directory: Path, rows: Sequence[Row], *, killed: bool = False, metric: str = "temperature"
) -> Ledger:
    with LedgerWriter(directory) as ledger:
        ledger.header({"name": "t"})
        columns = ledger.group("probe", [metric])
        ledger.devices(0, 0, [{"id": f"d{i}", "site": "s", "type": "probe", "tags": {}} for i in range(3)])
        for row in rows:
            for name, value in (
                ("device", row.device), ("boot", 9), ("seq", row.seq), ("ts", row.ts),
                ("sent", row.ts * 1000 if row.sent else 0), ("flags", VOID if row.void else 0), ("present", 1),
            ):  # fmt: skip
                getattr(columns, name).append(value)
            columns.values[0].append(row.value)
            if row.quality is not None:
                columns.doubt(metric, [row.quality])
            if row.again:
                ledger.table("sends").extend((row.device, 9, row.seq, row.ts * 1000 + 5, 1))
            if row.acked:
                ledger.table("acks").extend((row.device, 9, row.seq, row.ts * 1000 + 1, row.code))
        ledger.note("status", gateway="gw", status=STATUS)
        if not killed:
            ledger.end("finished", {"at": BASE * 1000})
    return read_ledger(directory)


def naive(rows: Sequence[Row], every: int) -> dict[WindowKey, Facts]:
    """The same figures in another way: one dict, plain Python, no order assumed."""
    found: dict[WindowKey, list[tuple[int, float]]] = defaultdict(list)
    for row in rows:
        key = WindowKey(f"d{row.device}", "temperature", every, row.ts // every * every)
        found[key].append((row.ts, row.value))
    return {
        key: Facts(
            len(pairs), math.fsum(v for _, v in pairs), min(v for _, v in pairs), max(v for _, v in pairs),
            min(pairs)[1], max(pairs)[1],
        )
        for key, pairs in found.items()
    }  # fmt: skip


def both_tiers(rows: Sequence[Row]) -> dict[WindowKey, Facts]:
    return naive(rows, 5000) | naive(rows, 60_000)


def steady(count: int = 60, device: int = 0) -> list[Row]:
    return [Row(n, BASE + 1000 * n, math.sin(n) * 20 + 0.1, device) for n in range(count)]


def judged(directory: Path, rows: Sequence[Row], stored: dict[WindowKey, Facts]) -> Comparison:
    return compare(ledger_of(directory, rows), gateway_terms(STATUS), stored, "test")


def row_of(key: WindowKey, facts: Facts) -> dict[str, Any]:
    numbers = {name: getattr(facts, name) for name in ("count", "sum", "min", "max", "first", "last")}
    return {**key._asdict(), **numbers, "revision": 0, "site": "s", "type": "probe", "p95": None}
