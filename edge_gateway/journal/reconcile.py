"""Decide from the scans of all segments which records count, and what to do with each file.

A segment is named by its first record number and an attempt. A later segment supersedes the records of
earlier ones from its own first number on: that is how a group whose sync failed is written again.

The end of the newest segment may be a group whose write never finished: it is cut off, and loses nothing, since none of
it was acknowledged. Where its bytes show that they were written whole and damaged later, it is a loss like any other.

Numbers may also be missing between two whole segments, after a file was removed or where the store was ahead of the
journal: they are lost, but neither file is damaged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edge_gateway.journal.framing import RecordFrame, Scan


@dataclass(frozen=True, slots=True)
class ScannedSegment:
    """The scan of a segment file, the first number in its name, and its size in bytes without what fills its page."""

    first: int
    size: int
    scan: Scan


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """What to do with one segment.

    Attributes:
        frames: the records that count.
        lost: inclusive ranges of numbers that are missing in it, or between it and the next segment.
        corrupt: whether the file must be written anew.
        cut: bytes to cut the file to if it is not corrupt.
    """

    frames: tuple[RecordFrame, ...]
    lost: tuple[tuple[int, int], ...]
    corrupt: bool
    cut: int


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A plan for each segment, all lost ranges of numbers, and how many bytes of an unsynced group are cut off."""

    plans: tuple[SegmentPlan, ...]
    lost: tuple[tuple[int, int], ...]
    torn_bytes: int


def _effective(segments: Sequence[ScannedSegment]) -> list[list[RecordFrame]]:
    kept: list[list[RecordFrame]] = []
    limit: int | None = None
    for segment in reversed(segments):
        kept.append([frame for frame in segment.scan.frames if limit is None or frame.number < limit])
        limit = segment.first if limit is None else min(limit, segment.first)
    kept.reverse()
    return kept


def _without_torn_group(
    segments: Sequence[ScannedSegment], kept: list[list[RecordFrame]]
) -> list[list[RecordFrame]]:
    """Drop what follows the first gap in the last commit group: that group never became durable.

    Unless the gap is damage: then the group was written whole, and the rest of it counts.
    """
    everything = [frame for frames in kept for frame in frames]
    if not everything:
        return kept
    group = max(frame.base for frame in everything)
    expected = segments[0].first
    damage_before = {end for _, end in segments[-1].scan.damaged}
    after_damage = [frame for frame in kept[-1] if frame.start in damage_before]
    for frame in everything:
        if frame.number > expected >= group and frame not in after_damage:
            return [[each for each in frames if each.number < expected] for frames in kept]
        expected = max(expected, frame.last + 1)
    return kept


def _holes(
    first: int, frames: Sequence[RecordFrame], until: int | None
) -> tuple[tuple[tuple[int, int], ...], int]:
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


def _plan(
    segment: ScannedSegment, frames: list[RecordFrame], lost: tuple[tuple[int, int], ...]
) -> SegmentPlan:
    end = frames[-1].end if frames else 0
    broken_inside = any(start < end for start, _ in segment.scan.unreadable)
    is_whole = frames and not segment.scan.unreadable
    lost_inside = any(first < frames[-1].number for first, _ in lost) if is_whole else bool(lost)
    nothing_left = not frames and bool(segment.scan.damaged)
    return SegmentPlan(tuple(frames), lost, lost_inside or broken_inside or nothing_left, end)


def _has_damaged_tail(segment: ScannedSegment, frames: Sequence[RecordFrame]) -> bool:
    end = frames[-1].end if frames else 0
    return any(start >= end for start, _ in segment.scan.damaged)


def reconcile(segments: Sequence[ScannedSegment]) -> Reconciliation:
    """Plan what to do with segments that come in order of first number, then attempt."""
    if not segments:
        return Reconciliation((), (), 0)
    kept = _without_torn_group(segments, _effective(segments))
    plans: list[SegmentPlan] = []
    expected = segments[0].first
    last = max((index for index, frames in enumerate(kept) if frames), default=-1)
    for index, (segment, frames) in enumerate(zip(segments, kept, strict=True)):
        until = segments[index + 1].first if index < last else None
        lost, expected = _holes(expected, frames, until)
        if index == len(segments) - 1 and _has_damaged_tail(segment, frames):
            lost += ((expected, expected),)  # at least this one: how many records there were cannot be read
        plans.append(_plan(segment, frames, lost))
    torn = sum(
        segment.size - plan.cut for segment, plan in zip(segments, plans, strict=True) if not plan.corrupt
    )
    return Reconciliation(tuple(plans), tuple(hole for plan in plans for hole in plan.lost), torn)
