"""The truth of a run, as it happens: what was generated, sent, acknowledged, receipted, commanded, and broken.

A run directory holds one append-only file of frames, each `length u32 · crc32 u32 · zstd(msgpack)`, little
endian. A frame is a map with its kind under `k`; tables are maps of columns, each column the raw bytes of
one numpy array. A crash of the simulator costs at most the frames not yet written, `FLUSH_ROWS`
or a second; a torn tail is recognised by its length or checksum and left out. `reading` reads it.
"""

from __future__ import annotations

import fcntl
import zlib
from array import array
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec
import numpy as np
import zstandard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

__all__ = ["FILE_NAME", "FLUSH_ROWS", "VOID", "LedgerWriter", "ReadingColumns"]

FILE_NAME: Final = "ledger.frames"
FLUSH_ROWS: Final = 8192
FORMAT: Final = 1

VOID: Final = 1
"""Flag of a reading whose message was damaged on purpose: the reading must not be counted."""

MAX_METRICS: Final = 63

TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "acks": ("device", "boot", "seq", "at", "code"),
    "sends": ("device", "boot", "seq", "at", "again"),
    "receipts": ("device", "boot", "upto", "missing", "at"),
    "drops": ("device", "boot", "seq"),
    "links": ("device", "at", "up"),
}
"""Columns of every table except the readings, all int64. Times (`at`) are microseconds since 1970."""


@dataclass(slots=True)
class ReadingColumns:
    """The readings of one group since the last flush: a row per sample, in the order they were made.

    `ts` is device time in ms; `sent` the wall time of the first publish in microseconds (0: not sent when made; see the
    table `sends`); `present` a bit per metric; `values` float64, 0.0 for an absent metric; `states` codes of the string
    table.
    """

    group: int
    numbers: tuple[str, ...]
    texts: tuple[str, ...] = ()
    device: array[int] = field(default_factory=lambda: array("i"))
    boot: array[int] = field(default_factory=lambda: array("q"))
    seq: array[int] = field(default_factory=lambda: array("q"))
    ts: array[int] = field(default_factory=lambda: array("q"))
    sent: array[int] = field(default_factory=lambda: array("q"))
    flags: array[int] = field(default_factory=lambda: array("B"))
    present: array[int] = field(default_factory=lambda: array("q"))
    values: tuple[array[float], ...] = ()
    states: tuple[array[int], ...] = ()
    quality: dict[str, array[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.numbers) + len(self.texts) > MAX_METRICS:
            raise ValueError(f"a group may have at most {MAX_METRICS} metrics")
        self.clear()

    def __len__(self) -> int:
        return len(self.device)

    def clear(self) -> None:
        for name in ("device", "boot", "seq", "ts", "sent", "flags", "present"):
            setattr(self, name, array(getattr(self, name).typecode))
        self.values = tuple(array("d") for _ in self.numbers)
        self.states = tuple(array("i") for _ in self.texts)
        self.quality = {}

    def doubt(self, metric: str, qualities: Sequence[float]) -> None:
        """Set the qualities of the last rows, one per row; rows without one have quality 1."""
        column = self.quality.setdefault(metric, array("d"))
        column.extend([1.0] * (len(self) - len(qualities) - len(column)))
        column.extend(qualities)

    def as_frame(self) -> dict[str, Any]:
        """Return the rows as one frame."""
        for metric in self.quality:
            self.doubt(metric, ())
        return {
            "k": "readings",
            "g": self.group,
            "n": len(self),
            "c": {
                name: getattr(self, name).tobytes()
                for name in ("device", "boot", "seq", "ts", "sent", "flags", "present")
            },
            "values": [column.tobytes() for column in self.values],
            "states": [column.tobytes() for column in self.states],
            "quality": {metric: column.tobytes() for metric, column in self.quality.items()},
        }


class LedgerWriter:
    """Appends the frames of one run. Not safe for several threads; call `flush` about once a second.

    It holds a lock on the file until it is closed, so that a reader can tell a run that goes on from one that was
    killed: the kernel drops the lock of a process that is gone.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / FILE_NAME
        self._file = self.path.open("xb", buffering=0)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(self._file, fcntl.LOCK_EX)
        self._squeeze = zstandard.ZstdCompressor(level=1)
        self._groups: list[ReadingColumns] = []
        self._tables: dict[str, list[int]] = {name: [] for name in TABLES}
        self._strings: dict[str, int] = {}
        self._new_strings: list[str] = []
        self._notes: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def header(self, facts: Mapping[str, Any]) -> None:
        """Write the facts about the whole run at once."""
        self._append({"k": "header", "format": FORMAT, **facts})

    def devices(self, group: int, first: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write devices of a group at once, from number `first` on; each row is `{id, site, type, tags}`."""
        self._append({"k": "devices", "g": group, "first": first, "rows": list(rows)})

    def group(self, name: str, numbers: Sequence[str], texts: Sequence[str] = ()) -> ReadingColumns:
        """Add a group and return its columns, to append its readings to."""
        columns = ReadingColumns(len(self._groups), tuple(numbers), tuple(texts))
        self._groups.append(columns)
        self._append(
            {"k": "group", "g": columns.group, "name": name, "numbers": list(numbers), "texts": list(texts)}
        )
        return columns

    def table(self, name: str) -> list[int]:
        """Return the unwritten rows of a table, row after row in one list; `extend` it by whole rows only."""
        return self._tables[name]

    def text(self, value: str) -> int:
        """Return the code of a string in the run's string table, adding it if it is new."""
        code = self._strings.get(value)
        if code is None:
            code = self._strings[value] = len(self._strings)
            self._new_strings.append(value)
        return code

    def note(self, kind: str, /, **facts: Any) -> None:
        """Record a rarer event (command, notice, alert, fault, episode, status, phase, taken_over, over)."""
        self._notes.append({"k": kind, **facts})

    @property
    def rows(self) -> int:
        """The number of readings that wait for `flush`."""
        return sum(len(group) for group in self._groups)

    def flush(self) -> None:
        """Write everything that is waiting."""
        if self._new_strings:
            self._append({"k": "strings", "rows": self._new_strings})
            self._new_strings = []
        for group in self._groups:
            if len(group):
                self._append(group.as_frame())
                group.clear()
        for name, rows in self._tables.items():
            if rows:
                self._append({"k": name, "c": _by_column(rows, len(TABLES[name]))})
                del rows[:]
        if self._notes:
            self._append({"k": "notes", "rows": self._notes})
            self._notes = []

    def end(self, reason: str, facts: Mapping[str, Any]) -> None:
        """Write the last frame; a ledger without it belongs to a run that was killed."""
        self.flush()
        self._append({"k": "end", "reason": reason, **facts})

    def close(self) -> None:
        if not self._file.closed:
            self.flush()
            self._file.close()

    def _append(self, frame: Mapping[str, Any]) -> None:
        body = self._squeeze.compress(msgspec.msgpack.encode(frame))
        head = len(body).to_bytes(4, "little") + zlib.crc32(body).to_bytes(4, "little")
        self._file.write(head + body)


def _by_column(rows: list[int], width: int) -> bytes:
    """Turn rows into columns, which compress better."""
    return np.array(rows, dtype=np.int64).reshape(-1, width).T.tobytes()
