"""A ledger of a run of one device, what a gateway stored of it, and the command line that judges it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleet_sim.cli import main
from fleet_sim.ledger.reading import Ledger, read_ledger
from fleet_sim.ledger.writing import LedgerWriter

Cli = Callable[..., tuple[int, str, str]]
BASE = 1_700_000_000_000
STATUS: dict[str, Any] = {"gateway": "gw", "windows": [{"every": 5000, "bucket": "b5s"}]}
ALERT = {
    "id": "a",
    "rule": "Hot",
    "level": "critical",
    "state": "firing",
    "event": "firing",
    "subject": "d",
    "at": BASE + 2_000,
}
FAULT = {
    "number": 0, "kind": "heat_up", "devices": ["d"], "from": BASE, "until": BASE + 9_000,
    "expect": {"rule": "Hot", "within": 5_000, "level": None},
}  # fmt: skip


def recorded(
    directory: Path,
    *,
    statuses: dict[str, Any] | None = None,
    killed: bool = False,
    count: int = 5,
    taken_over: bool = False,
    at_end: dict[str, Any] | None = None,
    done_twice: bool = False,
    **header: Any,
) -> Ledger:
    """Write the ledger of a run of one device that sent `t` = 1 each second."""
    with LedgerWriter(directory) as ledger:
        ledger.header({"start_ms": BASE, "started_us": BASE * 1000, "speed": 1.0, **header})
        columns = ledger.group("probe", ["t"])
        ledger.devices(0, 0, [{"id": "d", "site": "s", "type": "probe", "tags": {}}])
        for seq in range(count):
            at = BASE + 1000 * seq
            row = {"device": 0, "boot": 9, "seq": seq, "ts": at, "sent": at * 1000, "flags": 0, "present": 1}
            for name, value in row.items():
                getattr(columns, name).append(value)
            columns.values[0].append(1.0)
            ledger.table("acks").extend((0, 9, seq, at * 1000 + 1, 0))
        for gateway, status in ({"gw": STATUS} if statuses is None else statuses).items():
            ledger.note("status", gateway=gateway, status=status)
        ledger.note("fault", **FAULT)
        for _ in range(2 * done_twice):
            ledger.note("executed", device=0, id="c", outcome="done", at=BASE * 1000)
        if taken_over:
            ledger.note("taken_over", device=0, at=BASE * 1000)
        if at_end is not None:
            ledger.note("status", gateway="gw", status=at_end)
        if not killed:
            ledger.end("finished", {"at": (BASE + 60_000) * 1000})
    return read_ledger(directory)


def history(path: Path, *, count: int = 5) -> Path:
    row = {"device": "d", "metric": "t", "every": 5000, "start": BASE, "count": count, "sum": float(count)}
    path.write_text(json.dumps(row | dict.fromkeys(("min", "max", "first", "last"), 1.0)))
    return path


def command_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Return a function that runs `fleet-sim` and returns its status, output and errors, unwrapped."""
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.delenv("INFLUX_URL", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run
