"""Copy rows from a damaged store to the new one in its place: at once what work needs, the rest piece by piece.

    at once:  names ─▶ windows rebuilt from the journal ─▶ counters, late readings
    pieces:   outbox ─▶ windows, blocks ─▶ outbox lines that were lost, rendered again ─▶ alerts, commands, …
                 │ then sinks go on   │ then late readings are merged

Each piece is one transaction that also stores the progress, so that a kill loses nothing. Rows that are in the new
store already are newer and stay. A chunk of the outbox that refers to a block is copied as the lines it stands for.
"""

import sqlite3
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from edge_gateway.records import codec
from edge_gateway.records.store_effects import Stamp
from edge_gateway.records.window_block import WINDOW_ROW
from edge_gateway.store.block_body import decoded
from edge_gateway.store.counters import StoreCounters
from edge_gateway.store.outbox import Outbox
from edge_gateway.store.outgoing_lines import OutgoingLines
from edge_gateway.store.rebuild import send_block
from edge_gateway.store.room_in_file import row_in_file
from edge_gateway.store.salvage import sound_rows as tables
from edge_gateway.store.salvage.damaged_file import DamagedStore, TablePiece
from edge_gateway.store.salvage.sound_rows import Known, Row, SalvagedTable
from edge_gateway.store.schema import READ_ERRORS, StoreDamaged
from edge_gateway.store.settings import StoreSettings
from edge_gateway.store.window_table import CORRECTED, WindowTable
from fleet_config.counting import counted

NAMES: Final = (tables.SERIES, tables.NUMBER, tables.TEXT, tables.CODE)
STAGES: Final = (
    *(tables.OUTBOX, tables.WINDOW, tables.STATE_WINDOW, tables.BLOCK),
    *(tables.ALERT, tables.COMMAND, tables.QUARANTINE, tables.EVENT, tables.APART),
)
HOLD_WINDOWS: Final = ("series", "text", "window", "state_window", "block")
"""Tables whose lost rows may have cost windows: one whose name is lost is not copied."""
_SINKS_GO_ON: Final = 1
_LATE_GO_ON: Final = 4
SEND_AGAIN: Final = 2_000
_IN_BLOCKS: Final = ("numbers in blocks", "texts in blocks")
_ALL: Final = 0
_NONE: Final = -1
_EVERYTHING: Final = "everything"
"""In `Progress.damaged` where the file cannot be opened."""


class Progress(msgspec.Struct, frozen=True):
    """How far the salvage of a file has come; stored in the new store.

    Attributes:
        file: name of the damaged store, which was set aside.
        at: wall time (ms) at which it was.
        floor: coverage floor (ms) to set if stored windows turn out to be lost.
        stage: place in STAGES.
        after: packed key of that table behind which to go on.
        series: highest series number that was copied.
        texts: highest text number that was copied.
        damaged: names of tables of which something is lost.
        rows: number of rows copied.
        unreadable: number of rows and gaps that could not be copied.
        oldest: the least the time (ms) was when the oldest outbox lines that were copied came.
        again: while lost lines are rendered again: the table of windows, or "block", and the packed key behind which to
            go on.
        unsure: the least the time (ms) can be, if `at` is of a clock that is not sure; else None.
    """

    file: str
    at: int
    floor: int
    stage: int = 0
    after: int | None = None
    series: int = _ALL
    texts: int = _ALL
    damaged: list[str] = []
    rows: int = 0
    unreadable: int = 0
    oldest: int | None = None
    again: tuple[str, int | None] | None = None
    unsure: int | None = None

    @property
    def stamp(self) -> Stamp:
        """When the file was set aside."""
        return Stamp(self.at, self.unsure)


class Salvage:
    """Used inside the store's transactions."""

    def __init__(
        self,
        directory: Path,
        db: sqlite3.Connection,
        settings: StoreSettings,
        counters: StoreCounters,
        outbox: Outbox,
    ) -> None:
        self._directory = directory
        self._db = db
        self._settings = settings
        self._counters = counters
        self._outbox = outbox
        self._source: DamagedStore | None = None
        self._known: Known | None = None
        row = db.execute("SELECT value FROM meta WHERE key='salvage'").fetchone()
        self.progress = None if row is None else msgspec.json.decode(row[0], type=Progress)

    @property
    def holds_sinks(self) -> bool:
        """Whether sinks must wait for older lines, which go first."""
        return self.progress is not None and self.progress.stage < _SINKS_GO_ON

    @property
    def holds_late(self) -> bool:
        """Whether late readings must wait for windows they may belong to."""
        return self.progress is not None and self.progress.stage < _LATE_GO_ON

    def snapshot(self) -> Progress | None:
        """Return what memory holds, for `restore` after a rollback."""
        return self.progress

    def restore(self, snapshot: Progress | None) -> None:
        """Go back to what was committed."""
        self.progress = snapshot
        self._known = None

    def close(self) -> None:
        """Close the damaged store."""
        if self._source is not None:
            self._source.close()
            self._source = None

    def confirm(self, wall: int, least: int) -> None:
        """Correct the floor to come: `wall` is the time at which `least` was the least it could be."""
        if self.progress is not None and self.progress.unsure is not None:
            self._change(floor=wall - (least - self.progress.unsure), unsure=None)

    # --- at once

    def begin(self, file: str, at: int, floor: int, unsure: int | None) -> dict[str, Any]:
        """Begin with the names; return the readable part of the damaged store's `meta`."""
        self._keep(Progress(file, at, floor, unsure=unsure))
        source = self._open()
        if source is None:
            return {}
        for kept in NAMES:
            self._take_whole(source, kept)
            self._known = None
        upto = [self._db.execute(f"SELECT MAX(id) FROM {name}").fetchone()[0] for name in ("series", "text")]  # noqa: S608
        self._change(series=upto[0] or _NONE, texts=upto[1] or _NONE)
        return source.pairs("meta")

    def take_late(self, derived: Collection[tuple[int, int, int]], families: dict[int, int]) -> None:
        """Copy counters, and late readings except those of windows rebuilt from the journal, which contain them.

        Args:
            derived: (tier, start, head of the family) of the rebuilt windows.
            families: head of the family by series: the lowest series number of its device and metric.
        """
        if self.progress is None or (source := self._open()) is None:
            return
        counters = source.pairs("counter")
        self._counters.take_over({name: n for name, n in counters.items() if _is_count(name, n)})
        self._count(self.progress.rows, self.progress.unreadable)  # of the names
        for kept in (tables.LATE, tables.LATE_STATE):
            self._take_whole(source, kept)
            columns = "SELECT id, series, ts, tiers FROM"
            for number, series, ts, tiers in self._db.execute(f"{columns} {kept.table.name}").fetchall():
                left = self._left(tiers, ts, families.get(series, series), derived)
                if left != tiers:
                    self._shrink(kept.table.name, number, left)

    def _left(self, tiers: int, ts: int, family: int, derived: Collection[tuple[int, int, int]]) -> int:
        for tier, settings in enumerate(self._settings.tiers):
            if (tier, ts - ts % settings.every, family) in derived:
                tiers &= ~(1 << tier)
        return tiers

    def _shrink(self, table: str, number: int, left: int) -> None:
        if left:
            self._db.execute(f"UPDATE {table} SET tiers=? WHERE id=?", (left, number))  # noqa: S608
        else:
            self._db.execute(f"DELETE FROM {table} WHERE id=?", (number,))  # noqa: S608

    def _take_whole(self, source: DamagedStore, kept: SalvagedTable) -> None:
        after: int | None = None
        while True:
            after = self._take(source, kept, after)
            if after is None:
                return

    # --- piece by piece

    def step(self, lines: OutgoingLines, windows: WindowTable, states: WindowTable) -> bool:
        """Copy a piece; return whether that was the last."""
        assert self.progress is not None
        if self.progress.again is not None:
            self._send_again(lines, windows, states)
            return False
        source, kept = self._open(), STAGES[self.progress.stage]
        after = None
        if source is not None:
            piece = source.piece(kept.table, self.progress.after)
            if kept is tables.OUTBOX:
                piece = piece._replace(rows=[self._rendered(source, row, lines) for row in piece.rows])
            after = self._take_piece(kept, piece, {"window": windows, "state_window": states})
        self._change(after=after)
        if after is None:
            self._next_stage()
        return self.progress.stage == len(STAGES)

    def finish(self) -> str:
        """End the salvage; return a summary for the operator."""
        done = self.progress
        assert done is not None
        self.close()
        self.progress = None
        self._db.execute("DELETE FROM meta WHERE key='salvage'")
        file = self._directory / done.file
        if _EVERYTHING in done.damaged:
            return f"nothing of {file} can be read: what the journal does not have is lost"
        if not done.damaged:
            return f"recovered all of {file}, {counted(done.rows, 'row')}; the file can be deleted"
        tables_lost = ", ".join(done.damaged)
        return (
            f"recovered {counted(done.rows, 'row')} of {file}; rows in"
            f" {counted(done.unreadable, 'damaged place')} of {tables_lost} are lost;"
            " keep the file if you want to examine it, or delete it"
        )

    def lost(self, *names: str) -> bool:
        """Whether something of these tables is lost."""
        return self.progress is not None and any(name in self.progress.damaged for name in names)

    def _next_stage(self) -> None:
        assert self.progress is not None
        self._change(stage=self.progress.stage + 1, after=None)
        if self.progress.stage == _SINKS_GO_ON:
            oldest = self._db.execute("SELECT MIN(COALESCE(aged, at)) FROM outbox").fetchone()[0]
            self._change(oldest=oldest)
            self._outbox.recount()
        elif self.progress.stage == _LATE_GO_ON and self.lost("outbox"):
            self._change(again=("window", None))

    def _take(self, source: DamagedStore, kept: SalvagedTable, after: int | None) -> int | None:
        """Copy a piece of a table; return the packed key to go on behind, None at its end."""
        return self._take_piece(kept, source.piece(kept.table, after), {})

    def _take_piece(
        self, kept: SalvagedTable, piece: TablePiece, windows: Mapping[str, WindowTable]
    ) -> int | None:
        assert self.progress is not None
        known = self._knowing()
        rows = [tables.sound(kept, row, known) for row in piece.rows]
        good = [row for row in self._new(kept, rows) if row is not None]
        if kept is tables.BLOCK:
            copied = sum(windows[kind].put_absent(tier, held) for _, kind, tier, held in good)
        elif kept.table.name in windows:
            copied = windows[kept.table.name].insert_absent(good)
        else:
            self._db.executemany(kept.insert, good)
            copied = len(good)
        unreadable = rows.count(None) + piece.damaged
        self._count(copied, unreadable)
        damaged = sorted({*self.progress.damaged, *([kept.table.name] if unreadable else ())})
        self._change(
            rows=self.progress.rows + copied,
            unreadable=self.progress.unreadable + unreadable,
            damaged=damaged,
        )
        return piece.last

    def _rendered(self, source: DamagedStore, row: Row, lines: OutgoingLines) -> Row:
        """Return a chunk of the outbox with lines in place of a block; as it is if that cannot be read."""
        *facts, _, at, aged, block, skip, body = row
        held = source.block(block) if isinstance(block, int) else None
        if held is None:
            return row
        try:
            windows = decoded(held[0], held[1], WINDOW_ROW).windows.take(slice(skip, None))
        except (StoreDamaged, TypeError):
            return row
        known = self._knowing()
        if any(one not in known.series for one in set(windows.rows["series"].tolist())):
            return row
        body = codec.compress(lines.rendered(windows))
        return (*facts, row_in_file(len(body)), at, aged, None, None, body)

    def _count(self, rows: int, unreadable: int) -> None:
        self._counters.add("salvaged_rows", rows)
        self._counters.add("salvage_unreadable", unreadable)

    def _new(self, kept: SalvagedTable, rows: Iterable[Row | None]) -> Iterable[Row | None]:
        """Return the rows without those that were applied again from the journal."""
        if kept not in {tables.ALERT, tables.QUARANTINE, tables.EVENT, tables.APART}:
            return rows
        columns = ", ".join(kept.table.columns)
        select = f"SELECT {columns} FROM {kept.table.name} WHERE id>0 AND at<=?"  # noqa: S608
        assert self.progress is not None
        present = set(self._db.execute(select, (self.progress.at,)))
        return [row for row in rows if row is None or row[1:] not in present]

    def _send_again(self, lines: OutgoingLines, windows: WindowTable, states: WindowTable) -> None:
        """Queue the lines of a piece of the stored windows again, where they may be lost.

        That is where the window ended at or after the time of the oldest outbox lines, and, at any age, where it
        contains late readings.
        """
        assert self.progress is not None
        assert self.progress.again is not None
        name, after = self.progress.again
        if name in _IN_BLOCKS:
            self._send_blocks_again(name, after or 0, lines, windows if name == _IN_BLOCKS[0] else states)
            return
        kept, table = (tables.WINDOW, windows) if name == "window" else (tables.STATE_WINDOW, states)
        sender = lines if name == "window" else lines.of_texts
        keyed = kept.table
        key = keyed.parts(keyed.lowest if after is None else after)
        found = table.after(key, SEND_AGAIN)
        for tier, packed, revisions, last in found:
            every = self._settings.tiers[tier].every if tier < len(self._settings.tiers) else 0
            recent = packed.rows["start"] + every >= (self.progress.oldest or 0)
            again = np.flatnonzero(recent | (np.array(revisions) >= CORRECTED))
            if every and len(again):
                sender.windows(tier, packed.take(again), self.progress.stamp)
            after = keyed.number(last)
        if found:
            self._change(again=(name, after))
        else:
            self._change(again=("state_window" if name == "window" else _IN_BLOCKS[0], None))

    def _send_blocks_again(self, name: str, after: int, lines: OutgoingLines, table: WindowTable) -> None:
        """The same with the next block: what is recent as a part of it, and what else has late readings as lines."""
        assert self.progress is not None
        sender = lines if name == _IN_BLOCKS[0] else lines.of_texts
        block = next(table.blocks.behind(after), None)
        if block is None:
            self._change(again=(_IN_BLOCKS[1], None) if name == _IN_BLOCKS[0] else None)
            return
        self._change(again=(name, block.number))
        windows, revisions = block.held
        if block.tier < len(self._settings.tiers):
            since = (self.progress.oldest or 0) - self._settings.tiers[block.tier].every
            old = int(np.searchsorted(windows.rows["start"], since))
            late = np.flatnonzero(block.valid[:old] & (revisions[:old] >= CORRECTED))
            sender.windows(block.tier, windows.take(late), self.progress.stamp)
            held, valid = block.held.take(slice(old, None)), block.valid[old:]
            recent = block._replace(gone=block.gone + old, held=held, valid=valid)
            send_block(sender, recent, self.progress.stamp)

    # --- parts

    def _open(self) -> DamagedStore | None:
        if self._source is None:
            assert self.progress is not None
            try:
                self._source = DamagedStore(self._directory / self.progress.file)
            except (*READ_ERRORS, OSError):
                if _EVERYTHING not in self.progress.damaged:
                    tables_lost = ("outbox", "window", "state_window", "block")
                    self._change(damaged=[*self.progress.damaged, _EVERYTHING, *tables_lost])
        return self._source

    def _knowing(self) -> Known:
        if self._known is None:
            assert self.progress is not None
            upto = self.progress
            self._known = Known(
                series=self._numbers("series", upto.series),
                texts=self._numbers("text", upto.texts),
                tiers=len(self._settings.tiers),
                sinks=self._outbox.sinks,
                buckets={tier.bucket for tier in self._settings.tiers},
            )
        return self._known

    def _numbers(self, table: str, upto: int) -> set[int]:
        rows = self._db.execute(f"SELECT id FROM {table} WHERE ?={_ALL} OR id<=?", (upto, upto))  # noqa: S608
        return {number for (number,) in rows}

    def _change(self, **changes: Any) -> None:
        assert self.progress is not None
        self._keep(msgspec.structs.replace(self.progress, **changes))

    def _keep(self, progress: Progress) -> None:
        self.progress = progress
        written = msgspec.json.encode(progress).decode()
        self._db.execute("INSERT OR REPLACE INTO meta VALUES('salvage', ?)", (written,))


def _is_count(name: Any, value: Any) -> bool:
    return isinstance(name, str) and name.isidentifier() and isinstance(value, int) and value >= 0
