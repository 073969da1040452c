"""Reading a run directory as columns. A frame that a crash cut off is left out, and `torn` is set."""

import fcntl
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import zstandard

from fleet_sim.ledger.writing import FILE_NAME, FORMAT, TABLES, VOID
from fleet_wire.errors import system_text

__all__ = ["DeviceEntry", "Ledger", "LedgerUnreadable", "Readings", "StillRunning", "Table", "read_ledger"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_READING_TYPES = {
    "device": "i",
    "boot": "q",
    "seq": "q",
    "ts": "q",
    "sent": "q",
    "flags": "B",
    "present": "q",
}


class LedgerUnreadable(Exception):
    """The directory holds no ledger that this program can read; the text says where, why, and what to do."""


class StillRunning(Exception):
    """The run of a ledger that is to be judged goes on."""


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    id: str
    site: str
    type: str
    tags: Mapping[str, str]
    group: int


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of one table, int64, all of the same length."""

    columns: Mapping[str, Ints]

    def __getitem__(self, name: str) -> Ints:
        return self.columns[name]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


@dataclass(frozen=True, slots=True)
class Readings:
    """The readings of one group, a row per sample. Metric `numbers[k]` has its values in `values[k]` and bit `k`."""

    name: str
    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    table: Table
    values: tuple[npt.NDArray[np.float64], ...]
    states: tuple[Ints, ...]
    quality: Mapping[str, npt.NDArray[np.float64]]

    def present(self, metric: int) -> Bools:
        """Return bool[rows]: rows with a value of metric number `metric`."""
        held: Bools = (self.table["present"] >> metric) & 1 == 1
        return held

    def intact(self) -> Bools:
        """Return bool[rows]: rows whose message was sent undamaged."""
        whole: Bools = (self.table["flags"] & VOID) == 0
        return whole


@dataclass(slots=True)
class Ledger:
    """What a run recorded. `end` is None if the run was killed, or is `running`."""

    header: dict[str, Any] = field(default_factory=dict)
    devices: list[DeviceEntry] = field(default_factory=list)
    groups: list[Readings] = field(default_factory=list)
    tables: dict[str, Table] = field(default_factory=dict)
    strings: list[str] = field(default_factory=list)
    notes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    end: dict[str, Any] | None = None
    torn: bool = False
    running: bool = False

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """Return the notes of one kind (command, notice, alert, fault, episode, status …) in order."""
        return self.notes.get(kind, [])


def frames(path: Path) -> Iterator[dict[str, Any] | None]:
    """Yield every whole frame; a last None says that a torn tail was left out.

    A crash may leave zeros for a tail; they are the length and the checksum of an empty frame, which is none.
    """
    expand = zstandard.ZstdDecompressor()
    content = path.read_bytes()
    at = 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "little")
        check = int.from_bytes(content[at + 4 : at + 8], "little")
        body = content[at + 8 : at + 8 + size]
        if not body or len(body) < size or zlib.crc32(body) != check:
            yield None
            return
        yield msgspec.msgpack.decode(expand.decompress(body))
        at += 8 + size


def read_ledger(directory: Path) -> Ledger:
    """Read a run directory.

    Raises:
        LedgerUnreadable: there is none, it cannot be read, or another version wrote it.
    """
    path = directory / FILE_NAME
    try:
        return _read(path)
    except (FileNotFoundError, NotADirectoryError):
        raise LedgerUnreadable(
            f"{directory}: no {FILE_NAME} there; give the directory that `fleet-sim run --report` wrote"
        ) from None
    except OSError as problem:
        raise LedgerUnreadable(
            f"cannot read {path}: {system_text(problem)}; give a run directory that you may read"
        ) from None
    except (zstandard.ZstdError, msgspec.DecodeError, LookupError, TypeError, ValueError):
        raise LedgerUnreadable(f"{path}: not what `fleet-sim run` of this version writes") from None


def _read(path: Path) -> Ledger:
    ledger = Ledger(running=_is_held(path))  # before its frames are read: it may end meanwhile
    parts: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for frame in frames(path):
        if frame is None:
            ledger.torn = True
        else:
            _take(ledger, parts, frame)
    if ledger.header.get("format") != FORMAT:
        raise LedgerUnreadable(
            f"{path}: not a ledger of format {FORMAT}, the one that this version of fleet-sim reads"
        )
    ledger.running = ledger.running and ledger.end is None
    ledger.groups = [_readings(group, parts["readings"]) for group in parts["group"]]
    ledger.tables = {name: _table(names, parts[name]) for name, names in TABLES.items()}
    return ledger


def _is_held(path: Path) -> bool:
    """Return whether a run is writing this ledger."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a file system without locks
            return False
    return False


def _take(ledger: Ledger, parts: dict[str, list[dict[str, Any]]], frame: dict[str, Any]) -> None:
    match frame["k"]:
        case "header":
            ledger.header = frame
        case "devices":
            ledger.devices.extend(
                DeviceEntry(row["id"], row["site"], row["type"], row["tags"], frame["g"])
                for row in frame["rows"]
            )
        case "strings":
            ledger.strings.extend(frame["rows"])
        case "notes":
            for row in frame["rows"]:
                ledger.notes.setdefault(row["k"], []).append(row)
        case "end":
            ledger.end = frame
        case kind:
            parts[kind].append(frame)


def _joined(blobs: list[bytes], code: str) -> npt.NDArray[Any]:
    return np.frombuffer(b"".join(blobs), dtype=np.dtype(code))


def _full_quality(rows: int) -> bytes:
    return np.ones(rows).tobytes()


def _columns(types: Mapping[str, str], parts: list[dict[str, Any]]) -> Table:
    return Table(
        {
            name: _joined([part["c"][name] for part in parts], code).astype(np.int64)
            for name, code in types.items()
        }
    )


def _table(names: tuple[str, ...], parts: list[dict[str, Any]]) -> Table:
    blocks = [np.frombuffer(part["c"], dtype=np.int64).reshape(len(names), -1) for part in parts]
    joined = np.concatenate(blocks, axis=1) if blocks else np.zeros((len(names), 0), dtype=np.int64)
    return Table(dict(zip(names, joined, strict=True)))


def _readings(group: dict[str, Any], every: list[dict[str, Any]]) -> Readings:
    parts = [part for part in every if part["g"] == group["g"]]
    doubted = dict.fromkeys(metric for part in parts for metric in part["quality"])
    quality = {
        metric: _joined([part["quality"].get(metric) or _full_quality(part["n"]) for part in parts], "d")
        for metric in doubted
    }
    return Readings(
        name=group["name"],
        numbers=tuple(group["numbers"]),
        texts=tuple(group["texts"]),
        table=_columns(_READING_TYPES, parts),
        values=tuple(
            _joined([part["values"][k] for part in parts], "d") for k in range(len(group["numbers"]))
        ),
        states=tuple(
            _joined([part["states"][k] for part in parts], "i").astype(np.int64)
            for k in range(len(group["texts"]))
        ),
        quality=quality,
    )
