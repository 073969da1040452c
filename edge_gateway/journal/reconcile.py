"""What a journal's segments hold together, decided from their scans alone.

A segment is named by its first record number and an attempt. A later segment supersedes the records of
earlier ones from its own first number on: that is how a group whose sync failed is written again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edge_gateway.journal.framing import Frame, Scan


@dataclass(frozen=True, slots=True)
class Scanned:
    """A segment file's scan, its name's first number, and its length in bytes."""

    first: int
    size: int
    scan: Scan


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with one segment: keep `frames`; `lost` ranges belong into it as holes.

    `cut` is the length to cut the file to when it is sound otherwise (`size` when nothing is to be cut).
    """

    frames: tuple[Frame, ...]
    lost: tuple[tuple[int, int], ...]
    corrupt: bool
    cut: int


@dataclass(frozen=True, slots=True)
class Survey:
    verdicts: tuple[Verdict, ...]
    lost: tuple[tuple[int, int], ...]
    torn_bytes: int


def _effective(segments: Sequence[Scanned]) -> list[list[Frame]]:
    kept: list[list[Frame]] = []
    limit: int | None = None
    for segment in reversed(segments):
        kept.append([f for f in segment.scan.frames if limit is None or f.number < limit])
        limit = segment.first if limit is None else min(limit, segment.first)
    kept.reverse()
    return kept


def _without_torn_group(segments: Sequence[Scanned], kept: list[list[Frame]]) -> list[list[Frame]]:
    """Drop what follows the first hole of the last commit group: that group never became durable."""
    everything = [frame for frames in kept for frame in frames]
    if not everything:
        return kept
    group = max(frame.base for frame in everything)
    expected = segments[0].first
    for frame in everything:
        if frame.number > expected >= group:
            return [[f for f in frames if f.number < expected] for frames in kept]
        expected = max(expected, frame.last + 1)
    return kept


def _holes(first: int, frames: Sequence[Frame], until: int | None) -> tuple[tuple[tuple[int, int], ...], int]:
    holes = []
    expected = first
    for frame in frames:
        if frame.number > expected:
            holes.append((expected, frame.number - 1))
        expected = max(expected, frame.last + 1)
    if until is not None and until > expected:
        holes.append((expected, until - 1))
        expected = until
    return tuple(holes), expected


def _verdict(segment: Scanned, frames: list[Frame], lost: tuple[tuple[int, int], ...]) -> Verdict:
    end = frames[-1].end if frames else 0
    broken_inside = any(start < end for start, _ in segment.scan.unreadable)
    return Verdict(tuple(frames), lost, bool(lost) or broken_inside, end)


def survey(segments: Sequence[Scanned]) -> Survey:
    """Decide for segments in order (by first number, then attempt) what of them counts."""
    if not segments:
        return Survey((), (), 0)
    kept = _without_torn_group(segments, _effective(segments))
    verdicts: list[Verdict] = []
    expected = segments[0].first
    last = max((index for index, frames in enumerate(kept) if frames), default=-1)
    for index, (segment, frames) in enumerate(zip(segments, kept, strict=True)):
        until = segments[index + 1].first if index < last else None
        lost, expected = _holes(expected, frames, until)
        verdicts.append(_verdict(segment, frames, lost))
    torn = sum(s.size - v.cut for s, v in zip(segments, verdicts, strict=True) if not v.corrupt)
    return Survey(tuple(verdicts), tuple(hole for v in verdicts for hole in v.lost), torn)
