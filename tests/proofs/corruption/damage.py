"""Ways to damage the files of a stopped gateway's spool."""

from __future__ import annotations

import random
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from edge_gateway.journal import framing as frames
from edge_gateway.journal import spool
from edge_gateway.spool_contents import contents
from edge_gateway.store import schema

PAGE: Final = 4096
KINDS: Final = (
    "random bytes",
    "zeroed pages",
    "truncation",
    "missing file",
    "poison",
    "newer version",
    "read-only",
)
WEIGHTS: Final = (30, 20, 15, 15, 10, 6, 4)
NEWER: Final = 60
CHECK: Final = 4
CHECKPOINT_HEADER: Final = 28


class Damage(NamedTuple):
    """One damage: what was done to which file."""

    kind: str
    file: str

    @property
    def part(self) -> str:
        """The part of the spool it belongs to."""
        name = Path(self.file).name
        if name.endswith(".journal"):
            return "journal"
        return "checkpoint" if name.startswith("checkpoint-") else "store"


def draw_kind(chance: random.Random) -> str:
    """Draw a kind of damage."""
    return chance.choices(KINDS, WEIGHTS)[0]


def files(place: Path) -> list[Path]:
    """Return the files of journal, checkpoints and store (with its WAL), without those set aside."""
    found = [
        *(place / spool.JOURNAL).glob("*.journal"),
        *(place / spool.CHECKPOINTS).glob("checkpoint-*"),
        *place.glob(f"{spool.STORE}*"),
    ]
    aside = ".corrupt-"
    return sorted(path for path in found if aside not in path.name and path.suffix != ".sqlite-shm")


def damage_file(place: Path, kind: str, chance: random.Random) -> Damage:
    """Damage one file of a spool: change its content, or remove it."""
    sized = [path for path in files(place) if path.stat().st_size and not path.name.endswith("-shm")]
    path = chance.choice(sized)
    changes: dict[str, Callable[[Path, random.Random], None]] = {
        "random bytes": _random_bytes,
        "zeroed pages": _zeroed_pages,
        "truncation": _truncate,
        "missing file": lambda path, _: path.unlink(),
        "newer version": lambda path, _: _newer(path),
    }
    if kind == "newer version":
        path = chance.choice(_versioned(place))
    changes[kind](path, chance)
    return Damage(kind, str(path.relative_to(place)))


def damage_applied(place: Path, kind: str, chance: random.Random) -> Damage:
    """Damage one file, but not only records that the store has not applied yet.

    Those are the last ones written: damaged, they look like a write that never finished, of which nothing was
    acknowledged.
    """
    applied = contents(place)["store"].get("applied") or 0
    before = {path: path.read_bytes() for path in (place / spool.JOURNAL).iterdir()}
    numbers = _numbers(place)
    while True:
        damage = damage_file(place, kind, chance)
        lost = numbers - _numbers(place)
        if damage.part != "journal" or not lost or min(lost) <= applied:
            return damage
        for path, data in before.items():
            path.write_bytes(data)


def _numbers(place: Path) -> set[int]:
    return {
        frame.number
        for path in (place / spool.JOURNAL).glob("*.journal")
        for frame in frames.scan(path.read_bytes()).frames
    }


def _random_bytes(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 4)):
        length = min(len(data), chance.choice([1, 8, 64, 512, PAGE, 4 * PAGE]))
        start = chance.randrange(len(data) - length + 1)
        data[start : start + length] = chance.randbytes(length)
    path.write_bytes(data)


def _zeroed_pages(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 3)):
        start = chance.randrange(-(-len(data) // PAGE)) * PAGE
        end = min(len(data), start + PAGE * chance.choice([1, 1, 2, 8]))
        data[start:end] = bytes(end - start)
    path.write_bytes(data)


def _truncate(path: Path, chance: random.Random) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(chance.choice([0, chance.randrange(size), max(0, size - chance.randint(1, PAGE))]))


def _versioned(place: Path) -> list[Path]:
    """Return the files whose format number a newer program changes at its first start."""
    newest = sorted((place / spool.CHECKPOINTS).glob("checkpoint-*"))[-1:]
    return [*newest, *sorted((place / spool.JOURNAL).glob("*.journal"))[-1:], place / spool.STORE]


def _newer(path: Path) -> None:
    """Give a file the format number of a newer program, with the right checksum."""
    data = bytearray(path.read_bytes())
    if path.name == spool.STORE:
        data[60:64] = (schema.VERSION + 1).to_bytes(4)
    elif path.suffix == ".journal":
        start, data[3] = frames.HEADER_BYTES - CHECK, NEWER
        (length,) = struct.unpack_from("<I", data, 8)
        body = data[frames.HEADER_BYTES : frames.HEADER_BYTES + length]
        struct.pack_into("<I", data, start, zlib.crc32(body, zlib.crc32(data[:start])))
    else:
        data[4] = NEWER
        start = CHECKPOINT_HEADER - CHECK
        struct.pack_into("<I", data, start, zlib.crc32(data[CHECKPOINT_HEADER:], zlib.crc32(data[:start])))
    path.write_bytes(data)


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    """Make the directory read-only while the block runs; CalledProcessError without the right to mount."""
    mount = ["mount", "--bind", str(place), str(place)]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True, capture_output=True)
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True, capture_output=True)
