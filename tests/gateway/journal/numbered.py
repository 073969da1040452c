"""Journals of numbered records whose bodies are known."""

import random
from pathlib import Path

from edge_gateway.journal.segments import Journal


def body(number: int) -> bytes:
    return random.Random(number).randbytes(20 + number % 7)


def fill(directory: Path, groups: list[list[int]], *, segment_bytes: int = 1 << 20) -> None:
    journal = Journal.open(directory, segment_bytes=segment_bytes)
    for group in groups:
        for number in group:
            journal.append(number, body(number))
        journal.sync()
    journal.close()


def records(journal: Journal, start: int = 0) -> list[int]:
    found = list(journal.read(start))
    assert all(data == body(number) for number, data in found)
    return [number for number, _ in found]


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.journal"))
