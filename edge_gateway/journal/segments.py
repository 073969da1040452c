"""The journal: append-only segments of records with checksums, the gateway's one commit point.

    append(number, body) … append(number, body)      one commit group
        └── sync(power) ── one write ── fdatasync    from here on the group survives

Segments are named `<first number>-<attempt>.journal`. After a failed write or sync, nothing more is written to that
segment: the kernel may have dropped its dirty pages and report success the next time. The whole group is written
again to a new segment, which supersedes what the old one holds of it.
"""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_gateway.errors import OtherSpool
from edge_gateway.journal.files import FILES, Files
from edge_gateway.journal.framing import (
    FORMAT,
    RECORD,
    UNREAD,
    RecordFrame,
    body_of,
    encode_group,
    encode_hole,
    filling,
    newer_format,
    scan,
)
from edge_gateway.journal.reconcile import ScannedSegment, SegmentPlan, reconcile

SEGMENT_BYTES: Final = 16 << 20
_NAME: Final = re.compile(r"(\d{20})-(\d{4,})\.journal")


class JournalFull(Exception):
    """The journal has reached `max_bytes`. Nothing was written; the group can be tried again."""


@dataclass(frozen=True, slots=True)
class OpenReport:
    """What opening repaired.

    Attributes:
        torn_bytes: bytes of a commit group that was never synced, cut off.
        set_aside: names of corrupt files that were renamed.
        lost: inclusive ranges of record numbers that cannot be read.
    """

    torn_bytes: int = 0
    set_aside: tuple[str, ...] = ()
    lost: tuple[tuple[int, int], ...] = ()


def read_unopened(directory: Path, start: int, *, files: Files = FILES) -> Iterator[tuple[int, bytes]]:
    """Yield (number, body) of the intact records from number `start` on. Changes nothing, and passes over damage."""
    names = files.names(directory) if directory.is_dir() else []
    named = sorted((parsed, name) for name in names if (parsed := parse_name(name)))
    for place, (_, name) in enumerate(named):
        if any(first <= start for (first, _), _ in named[place + 1 :]):
            continue
        try:
            data = files.read(directory / name)
        except OSError:
            continue
        for frame in scan(data).frames:
            if frame.kind == RECORD and frame.number >= start:
                yield frame.number, body_of(data, frame)


@dataclass(slots=True)
class _Segment:
    path: Path
    first: int
    size: int


def _segment_path(directory: Path, first: int, attempt: int) -> Path:
    return directory / f"{first:020d}-{attempt:04d}.journal"


def parse_name(name: str) -> tuple[int, int] | None:
    """Return first record number and attempt from a segment's name; None for other files."""
    match = _NAME.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else None


class Journal:
    """One directory of segments. One thread appends and syncs; another may unlink and read sizes meanwhile.

    `max_bytes` bounds the total size of the segments (None: unbounded) and may be changed at any time.
    """

    def __init__(
        self,
        directory: Path,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        max_bytes: int | None = None,
        files: Files = FILES,
    ) -> None:
        self._directory = directory
        self._segment_bytes = segment_bytes
        self.max_bytes = max_bytes
        self._files = files
        self._lock = threading.Lock()
        self._segments: list[_Segment] = []
        self._attempts: dict[int, int] = {}
        self._handle: int | None = None
        self._written = 0
        self._pending: list[tuple[int, bytes]] = []
        self._last: int | None = None
        self._removal_settled = True
        """Whether the newest removal of a segment is durable."""
        self.report = OpenReport()
        self.dropped_records = 0

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        max_bytes: int | None = None,
        files: Files = FILES,
        at: int = 0,
    ) -> "Journal":
        """Open a directory, made when missing: check every record, cut off a write never finished, set damage aside.

        Args:
            directory: where the segments are.
            segment_bytes: size at which a new segment is started.
            max_bytes: budget for all segments together.
            files: the file operations to use.
            at: wall time in ms, part of the names of files set aside.

        Raises:
            OtherSpool: a newer program wrote a segment.
        """
        journal = cls(directory, segment_bytes=segment_bytes, max_bytes=max_bytes, files=files)
        files.make_directory(directory)
        journal._repair(at)
        return journal

    @property
    def first_number(self) -> int | None:
        """First record number of the oldest segment; None without segments."""
        with self._lock:
            return self._segments[0].first if self._segments else None

    @property
    def last_number(self) -> int | None:
        """Number of the newest durable record, or of the newest known to be lost; None for an empty journal."""
        return self._last

    @property
    def total_bytes(self) -> int:
        """Size of all segments on disk, without the zeros that fill a last page."""
        with self._lock:
            return sum(segment.size for segment in self._segments)

    def append(self, number: int, body: bytes) -> None:
        """Add a record to the commit group that the next `sync` writes; ValueError unless numbers grow."""
        newest = self._pending[-1][0] if self._pending else self._last
        if newest is not None and number <= newest:
            raise ValueError(f"record {number} after record {newest}")
        self._pending.append((number, body))

    def sync(self, *, power: bool = True) -> None:
        """Write the group and sync it to the disk, or only hand it to the kernel if not `power`.

        Raises OSError or JournalFull and keeps the group: the next call tries the same group again.
        """
        if not self._pending:
            return
        padded, data = encode_group(self._pending, 0 if self._begins_segment else self._written)
        if self.max_bytes is not None and self.total_bytes + padded + len(data) > self.max_bytes:
            raise JournalFull(f"the journal has used {self.total_bytes} of its {self.max_bytes} bytes")
        try:
            self._write(self._pending[0][0], padded, data, power=power)
        except OSError:
            self._abandon()
            raise
        self._last = self._pending[-1][0]
        self._pending.clear()

    def read(self, start: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield (number, body) of every record from number `start` on, in order."""
        with self._lock:
            segments = list(self._segments)
        ends = [*(segment.first for segment in segments[1:]), None]
        for segment, end in zip(segments, ends, strict=False):
            if end is not None and end <= start:
                continue
            data = self._files.read(segment.path)
            for frame in scan(data).frames:
                if frame.kind == RECORD and frame.number >= start and (end is None or frame.number < end):
                    yield frame.number, body_of(data, frame)

    def unlink_before(self, number: int) -> int:
        """Remove segments that hold only records below `number`; return the bytes freed.

        Raises OSError and keeps the segment that could not be removed, and those after it, for the next call.
        """
        freed = 0
        self._settle_removal()
        while True:
            with self._lock:
                if not self._oldest_is_below(number):
                    return freed
                freed += self._unlink_oldest()
            self._settle_removal()

    def drop_oldest(self) -> tuple[int, int] | None:
        """Remove the oldest segment unless it is being written; return its first and last number, or None.

        Raises OSError and drops nothing when the file cannot be removed.
        """
        self._settle_removal()
        with self._lock:
            if len(self._segments) < 2:  # noqa: PLR2004 - the one being written stays
                return None
            dropped = (self._segments[0].first, self._segments[1].first - 1)
            self._unlink_oldest()
            self.dropped_records += dropped[1] - dropped[0] + 1
        return dropped

    def close(self) -> None:
        """Close the segment being written. Records that were not synced are lost."""
        self._close_handle()

    def _oldest_is_below(self, number: int) -> bool:
        """Whether the oldest segment is not being written and holds only records below `number`."""
        if len(self._segments) > 1:
            return self._segments[1].first <= number
        idle = len(self._segments) == 1 and self._handle is None
        return idle and self._last is not None and self._last < number

    def _unlink_oldest(self) -> int:
        segment = self._segments[0]
        self._files.unlink(segment.path)
        del self._segments[0]
        self._removal_settled = False
        return segment.size

    def _settle_removal(self) -> None:
        """Make a removal durable before the next: else a failure or a power cut leaves a gap, as of lost records."""
        if not self._removal_settled:
            self._files.sync_directory(self._directory)
            self._removal_settled = True

    @property
    def _begins_segment(self) -> bool:
        """Whether the next group goes to a new segment."""
        return self._handle is None or self._written >= self._segment_bytes

    def _write(self, base: int, padded: int, data: bytes, *, power: bool) -> None:
        if self._begins_segment:
            self._close_handle()
            self._start_segment(base)
        assert self._handle is not None
        begin = self._written + padded
        end = begin + len(data)
        self._files.seek(self._handle, begin)
        self._files.write(self._handle, data + bytes(filling(end)))
        if power:
            self._files.datasync(self._handle)
        self._written = end
        with self._lock:
            self._segments[-1].size = self._written

    def _start_segment(self, first: int) -> None:
        attempt = self._attempts.get(first, 0)
        path = _segment_path(self._directory, first, attempt)
        self._handle = self._files.create(path)
        self._attempts[first] = attempt + 1
        self._written = 0
        with self._lock:
            self._segments.append(_Segment(path, first, 0))
        self._files.sync_directory(self._directory)

    def _abandon(self) -> None:
        """Close a segment after a failed write: cut it to what is durable, remove it if nothing is."""
        if self._handle is None:
            return
        self._close_handle()
        if self._written == 0:
            self._forget_empty_segment()

    def _forget_empty_segment(self) -> None:
        with self._lock:
            segment = self._segments.pop()
        try:
            self._files.unlink(segment.path)
        except OSError:
            return  # harmless: the next segment supersedes an empty one

    def _close_handle(self) -> None:
        """Close the segment, cut to what is durable: what fills its page goes, and what a failed write left."""
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        try:
            self._files.truncate(handle, self._written)
        except OSError:
            pass  # zeros do no harm, and the next segment supersedes a group
        finally:
            self._close_quietly(handle)

    def _close_quietly(self, handle: int) -> None:
        try:
            self._files.close(handle)
        except OSError:
            return  # everything that counts was synced before, and the handle is gone either way

    def _repair(self, at: int) -> None:
        names = self._files.names(self._directory)
        named = sorted((parsed, name) for name in names if (parsed := parse_name(name)))
        for (first, attempt), _ in named:
            self._attempts[first] = attempt + 1
        scanned = [self._scanned(first, name) for (first, _), name in named]
        result = reconcile(scanned)
        aside = []
        for ((first, _), name), segment, plan in zip(named, scanned, result.plans, strict=True):
            path = self._directory / name
            if plan.corrupt:
                aside.append(self._replace(path, first, plan, at))
            else:
                self._adopt(path, segment, plan)
        self._files.sync_directory(self._directory)
        self.report = OpenReport(result.torn_bytes, tuple(aside), result.lost)
        self._last = _newest(result.plans)

    def _scanned(self, first: int, name: str) -> ScannedSegment:
        try:
            data = self._files.read(self._directory / name)
        except OSError:
            return ScannedSegment(first, 1, UNREAD)
        newer = newer_format(data)
        if newer is not None:
            raise OtherSpool.of(self._directory / name, newer, FORMAT)
        found = scan(data)
        return ScannedSegment(first, found.end, found)

    def _adopt(self, path: Path, segment: ScannedSegment, plan: SegmentPlan) -> None:
        if plan.cut == 0:
            self._files.unlink(path)
            return
        # A killed process may have left records unsynced. They are replayed, so they must be durable before that.
        handle = self._files.reopen(path)
        try:
            if plan.cut < segment.size:
                self._files.truncate(handle, plan.cut)
            self._files.datasync(handle)
        finally:
            self._files.close(handle)
        self._segments.append(_Segment(path, segment.first, plan.cut))

    def _replace(self, path: Path, first: int, plan: SegmentPlan, at: int) -> str:
        """Write the intact records to a new attempt, then set the corrupt file aside; safe to interrupt anywhere."""
        attempt = self._attempts[first]
        self._attempts[first] += 1
        repaired = _segment_path(self._directory, first, attempt)
        temporary = repaired.with_suffix(".tmp")
        data = self._salvage(path, plan)
        self._files.unlink(temporary)
        handle = self._files.create(temporary)
        try:
            self._files.write(handle, data)
            self._files.sync(handle)
        finally:
            self._files.close(handle)
        self._files.rename(temporary, repaired)
        self._files.sync_directory(self._directory)
        aside = path.with_name(f"{path.name}.corrupt-{at}")
        self._files.rename(path, aside)
        self._segments.append(_Segment(repaired, first, len(data)))
        return aside.name

    def _salvage(self, path: Path, plan: SegmentPlan) -> bytes:
        parts: list[tuple[int, bytes]] = [(first, encode_hole(first, last)) for first, last in plan.lost]
        if plan.frames:
            data = self._files.read(path)
            parts += [(frame.number, _raw(data, frame)) for frame in plan.frames]
        return b"".join(part for _, part in sorted(parts))


def _raw(data: bytes, frame: RecordFrame) -> bytes:
    return data[frame.start : frame.end]


def _newest(plans: tuple[SegmentPlan, ...]) -> int | None:
    ends = [frame.last for plan in plans for frame in plan.frames]
    ends += [hole[1] for plan in plans for hole in plan.lost]
    return max(ends, default=None)
