"""The journal: append-only segments of checked records, the one commit point of the gateway.

    append(number, body) … append(number, body)      one commit group
        └── sync(power) ── one write ── fdatasync    from here on the group survives

Segments are named `<first number>-<attempt>.journal`. A write or sync that fails leaves its segment for
good: after a failed fdatasync the kernel may have dropped the dirty pages and report success the next time,
so the group is written again, whole, to a new segment, which supersedes what the old one holds of it.
"""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_gateway.errors import NewerSpool
from edge_gateway.journal.files import FILES, Files
from edge_gateway.journal.framing import (
    FORMAT,
    HEADER_BYTES,
    RECORD,
    Frame,
    Scan,
    body_of,
    encode_frame,
    encode_hole,
    newer_format,
    scan,
)
from edge_gateway.journal.reconcile import Scanned, Verdict, survey

SEGMENT_BYTES: Final = 16 << 20
_NAME: Final = re.compile(r"(\d{20})-(\d{4,})\.journal")


class JournalFull(Exception):
    """The journal's budget is used up; nothing was written, and the group can be tried again later."""


@dataclass(frozen=True, slots=True)
class OpenReport:
    """What opening found: bytes of never-synced records cut off, files set aside, record numbers lost."""

    torn_bytes: int = 0
    set_aside: tuple[str, ...] = ()
    lost: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class _Segment:
    path: Path
    first: int
    size: int


def _segment_path(directory: Path, first: int, attempt: int) -> Path:
    return directory / f"{first:020d}-{attempt:04d}.journal"


def parse_name(name: str) -> tuple[int, int] | None:
    """First record number and attempt of a segment; None for other files."""
    match = _NAME.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else None


class Journal:
    """One directory of segments. One thread appends and syncs; another may unlink and look at sizes.

    `max_bytes` bounds the segments' total (None: unbounded); it may be changed at any time.
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
        self._pending_bytes = 0
        self._last: int | None = None
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
        """Open a directory (made when missing): check every record, cut a torn tail, set corrupt files aside.

        Args:
            directory: where the segments lie.
            segment_bytes: a segment that has reached this size is followed by a new one.
            max_bytes: budget of all segments together.
            files: the file operations to use.
            at: the time, in milliseconds, that names files set aside.
        """
        journal = cls(directory, segment_bytes=segment_bytes, max_bytes=max_bytes, files=files)
        files.make_directory(directory)
        journal._recover(at)
        return journal

    @property
    def first_number(self) -> int | None:
        """Where the oldest segment begins; None while there is none."""
        with self._lock:
            return self._segments[0].first if self._segments else None

    @property
    def last_number(self) -> int | None:
        """The newest durable record (or the newest known to be lost); None for an empty journal."""
        return self._last

    @property
    def total_bytes(self) -> int:
        """Bytes of all segments on disk."""
        with self._lock:
            return sum(segment.size for segment in self._segments)

    def append(self, number: int, body: bytes) -> None:
        """Add a record to the commit group that the next `sync` writes; numbers must grow."""
        newest = self._pending[-1][0] if self._pending else self._last
        if newest is not None and number <= newest:
            raise ValueError(f"record {number} after record {newest}")
        self._pending.append((number, body))
        self._pending_bytes += len(body) + HEADER_BYTES

    def sync(self, *, power: bool = True) -> None:
        """Write the group and make it durable (`power`) or hand it to the kernel (not `power`).

        Raises OSError or JournalFull with the group kept: calling again tries the same group again.
        """
        if not self._pending:
            return
        if self.max_bytes is not None and self.total_bytes + self._pending_bytes > self.max_bytes:
            raise JournalFull(f"the journal holds {self.total_bytes} of {self.max_bytes} bytes")
        base = self._pending[0][0]
        data = b"".join(encode_frame(number, base, body) for number, body in self._pending)
        try:
            self._write(base, data, power=power)
        except OSError:
            self._abandon()
            raise
        self._last = self._pending[-1][0]
        self._pending.clear()
        self._pending_bytes = 0

    def read(self, start: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield (number, body) of the records from number `start` on, in order, each once."""
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
        """Remove segments that hold only records below `number`; returns the bytes freed.

        One by one, each removal durable before the next: else a power cut could leave a hole that looks like loss.
        """
        freed = 0
        while True:
            with self._lock:
                if not self._oldest_is_below(number):
                    return freed
                freed += self._unlink_oldest()
            self._files.sync_directory(self._directory)

    def drop_oldest(self) -> tuple[int, int] | None:
        """Give up the oldest segment that is not being written: its numbers, or None."""
        with self._lock:
            if len(self._segments) < 2:  # noqa: PLR2004 - the one being written stays
                return None
            dropped = (self._segments[0].first, self._segments[1].first - 1)
            self._unlink_oldest()
            self.dropped_records += dropped[1] - dropped[0] + 1
        self._files.sync_directory(self._directory)
        return dropped

    def close(self) -> None:
        """Close the segment being written; what was not synced is not kept."""
        self._close_handle()

    def _oldest_is_below(self, number: int) -> bool:
        """Whether the oldest segment may go; the one being written stays."""
        if len(self._segments) > 1:
            return self._segments[1].first <= number
        idle = len(self._segments) == 1 and self._handle is None
        return idle and self._last is not None and self._last < number

    def _unlink_oldest(self) -> int:
        segment = self._segments.pop(0)
        self._files.unlink(segment.path)
        return segment.size

    def _write(self, base: int, data: bytes, *, power: bool) -> None:
        if self._handle is not None and self._written >= self._segment_bytes:
            self._close_handle()
        if self._handle is None:
            self._start_segment(base)
        assert self._handle is not None
        self._files.write(self._handle, data)
        if power:
            self._files.datasync(self._handle)
        self._written += len(data)
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
        """Leave a segment after a failed write: cut it to what is durable, remove it when that is nothing."""
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        try:
            self._files.truncate(handle, self._written)
        except OSError:
            pass  # the next segment supersedes whatever is left of the group
        finally:
            self._close_quietly(handle)
        if self._written == 0:
            self._forget_empty_segment()

    def _forget_empty_segment(self) -> None:
        with self._lock:
            segment = self._segments.pop()
        try:
            self._files.unlink(segment.path)
        except OSError:
            return  # an empty segment is superseded by the next one and harmless

    def _close_handle(self) -> None:
        if self._handle is not None:
            handle, self._handle = self._handle, None
            self._close_quietly(handle)

    def _close_quietly(self, handle: int) -> None:
        try:
            self._files.close(handle)
        except OSError:
            return  # everything that counts was synced before; the handle is gone in any case

    def _recover(self, at: int) -> None:
        names = self._files.names(self._directory)
        found = sorted((parsed, name) for name in names if (parsed := parse_name(name)))
        for (first, attempt), _ in found:
            self._attempts[first] = attempt + 1
        scanned = [self._scan(first, name) for (first, _), name in found]
        result = survey(scanned)
        aside = []
        for ((first, _), name), segment, verdict in zip(found, scanned, result.verdicts, strict=True):
            path = self._directory / name
            if verdict.corrupt:
                aside.append(self._mend(path, first, verdict, at))
            else:
                self._keep(path, segment, verdict)
        self._files.sync_directory(self._directory)
        self.report = OpenReport(result.torn_bytes, tuple(aside), result.lost)
        self._last = self._newest(result.verdicts)

    def _newest(self, verdicts: tuple[Verdict, ...]) -> int | None:
        ends = [frame.last for verdict in verdicts for frame in verdict.frames]
        ends += [hole[1] for verdict in verdicts for hole in verdict.lost]
        return max(ends, default=None)

    def _scan(self, first: int, name: str) -> Scanned:
        try:
            data = self._files.read(self._directory / name)
        except OSError:
            data = b""  # an unreadable file holds nothing; the survey names what is missing
            return Scanned(first, 1, Scan([], [(0, 1)]))
        newer = newer_format(data)
        if newer is not None:
            raise NewerSpool.of(self._directory / name, newer, FORMAT)
        return Scanned(first, len(data), scan(data))

    def _keep(self, path: Path, segment: Scanned, verdict: Verdict) -> None:
        if verdict.cut == 0:
            self._files.unlink(path)
            return
        # What a killed process had written and not synced is read like the rest, and from now on built upon.
        handle = self._files.reopen(path)
        try:
            if verdict.cut < segment.size:
                self._files.truncate(handle, verdict.cut)
            self._files.datasync(handle)
        finally:
            self._files.close(handle)
        self._segments.append(_Segment(path, segment.first, verdict.cut))

    def _mend(self, path: Path, first: int, verdict: Verdict, at: int) -> str:
        """Write what can be read as a new attempt, then set the corrupt file aside; every step can be cut."""
        attempt = self._attempts.get(first, 0)
        self._attempts[first] = attempt + 1
        mended = _segment_path(self._directory, first, attempt)
        temporary = mended.with_suffix(".tmp")
        data = self._salvage(path, verdict)
        self._files.unlink(temporary)
        handle = self._files.create(temporary)
        try:
            self._files.write(handle, data)
            self._files.sync(handle)
        finally:
            self._files.close(handle)
        self._files.rename(temporary, mended)
        self._files.sync_directory(self._directory)
        aside = path.with_name(f"{path.name}.corrupt-{at}")
        self._files.rename(path, aside)
        self._segments.append(_Segment(mended, first, len(data)))
        return aside.name

    def _salvage(self, path: Path, verdict: Verdict) -> bytes:
        parts: list[tuple[int, bytes]] = [(first, encode_hole(first, last)) for first, last in verdict.lost]
        if verdict.frames:
            data = self._files.read(path)
            parts += [(frame.number, _raw(data, frame)) for frame in verdict.frames]
        return b"".join(part for _, part in sorted(parts))


def _raw(data: bytes, frame: Frame) -> bytes:
    return data[frame.start : frame.end]
