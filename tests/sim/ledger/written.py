"""A small ledger."""

from pathlib import Path

from fleet_sim.ledger.writing import VOID, LedgerWriter, ReadingColumns


def add(columns: ReadingColumns, device: int, seq: int, **values: float) -> None:
    columns.device.append(device)
    columns.boot.append(17)
    columns.seq.append(seq)
    columns.ts.append(1000 * seq)
    columns.sent.append(5000 + seq)
    columns.flags.append(0)
    columns.present.append(sum(1 << bit for bit, name in enumerate(columns.numbers) if name in values))
    for name, column in zip(columns.numbers, columns.values, strict=True):
        column.append(values.get(name, 0.0))


def written(directory: Path) -> LedgerWriter:
    ledger = LedgerWriter(directory)
    ledger.header({"name": "test", "boot": 17})
    columns = ledger.group("freezer", ["temperature", "humidity"])
    ledger.devices(0, 0, [{"id": "a", "site": "x", "type": "freezer", "tags": {"line": "L0"}}])
    add(columns, 0, 0, temperature=-18.5, humidity=40.0)
    add(columns, 0, 1, temperature=float("nan"))
    ledger.flush()
    add(columns, 0, 2, humidity=0.1)
    columns.flags[0] = VOID
    columns.doubt("humidity", [0.25])
    ledger.table("acks").extend((0, 17, 0, 99, 0))
    ledger.table("acks").extend((0, 17, 1, 100, 0x97))
    ledger.note("fault", number=0, kind="stuck")
    return ledger
