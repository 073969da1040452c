"""Records come back in order; torn, corrupt and missing segments lose what is in them and nothing else."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.journal.framing import HEADER_BYTES, PAGE_BYTES, encode_frame, scan
from edge_gateway.journal.segments import Journal, JournalFull, read_unopened
from tests.gateway.journal.numbered import body, fill, records, segments
from tests.gateway.journal.traced_files import TracedFiles


def test_records_come_back_in_order_across_segments_and_restarts(tmp_path: Path) -> None:
    fill(tmp_path, [[1, 2], [3], [4, 5]], segment_bytes=60)
    journal = Journal.open(tmp_path, segment_bytes=60)
    assert journal.last_number == 5
    journal.append(6, body(6))
    journal.sync(power=False)
    assert records(journal) == [1, 2, 3, 4, 5, 6]
    assert records(journal, 4) == [4, 5, 6]
    journal.close()
    assert journal.total_bytes == sum(path.stat().st_size for path in segments(tmp_path))
    assert journal.report.torn_bytes == 0
    assert journal.report.lost == ()


def test_a_journal_is_read_without_opening_or_changing_it(tmp_path: Path) -> None:
    assert list(read_unopened(tmp_path / "missing", 0)) == []
    fill(tmp_path, [[1, 2], [3], [4, 5], [6]], segment_bytes=60)
    newest = segments(tmp_path)[-1]
    newest.write_bytes(newest.read_bytes()[:-1])
    before = {path: path.read_bytes() for path in segments(tmp_path)}
    assert [number for number, _ in read_unopened(tmp_path, 0)] == [1, 2, 3, 4, 5]
    assert list(read_unopened(tmp_path, 4)) == [(4, body(4)), (5, body(5))]
    assert {path: path.read_bytes() for path in segments(tmp_path)} == before


def test_no_commit_touches_more_pages_than_its_size_needs(tmp_path: Path) -> None:
    files, chance = TracedFiles(tmp_path), random.Random(5)
    journal = Journal.open(tmp_path / "journal", files=files)
    sizes = [chance.choice([40, 700, 3_500, 6_000]) for _ in range(100)]
    for number, size in enumerate(sizes, 1):
        journal.append(number, chance.randbytes(size))
        journal.sync()
    writes = [step for step in files.steps if step.kind == "write"]
    for size, step in zip(sizes, writes, strict=True):
        touched = range(step.offset // PAGE_BYTES, -(-(step.offset + len(step.data)) // PAGE_BYTES))
        assert len(touched) == -(-(size + HEADER_BYTES) // PAGE_BYTES)
    (file,) = segments(tmp_path / "journal")
    assert file.stat().st_size % PAGE_BYTES == 0
    assert [number for number, _ in Journal.open(tmp_path / "journal").read()] == list(range(1, 101))


def test_a_record_is_not_there_before_its_sync(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path)
    journal.append(1, body(1))
    journal.close()
    assert records(Journal.open(tmp_path)) == []


def test_numbers_must_grow(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path)
    journal.append(7, b"")
    with pytest.raises(ValueError, match="record 7 after record 7"):
        journal.append(7, b"")


def test_every_cut_of_the_last_groups_keeps_exactly_the_whole_groups_before_it(tmp_path: Path) -> None:
    source = tmp_path / "source"
    fill(source, [[1], [2], [3, 4], [5, 6]])
    data = segments(source)[0].read_bytes()
    ends = [frame.end for frame in scan(data).frames]
    for cut in range(len(data) + 1):
        directory = tmp_path / f"cut{cut}"
        directory.mkdir()
        (directory / segments(source)[0].name).write_bytes(data[:cut])
        journal = Journal.open(directory)
        whole = sum(end <= cut for end in ends)
        assert records(journal) == list(range(1, whole + 1))
        assert journal.report.torn_bytes == cut - (ends[whole - 1] if whole else 0)
        assert journal.report.set_aside == ()
        journal.append(whole + 1, body(whole + 1))
        journal.sync()
        assert records(Journal.open(directory)) == list(range(1, whole + 2))


def test_a_group_whose_first_record_is_torn_counts_as_a_whole_as_never_written(tmp_path: Path) -> None:
    fill(tmp_path, [[1], [2, 3, 4]])
    path = segments(tmp_path)[0]
    data = bytearray(path.read_bytes())
    second = scan(bytes(data)).frames[1]
    data[second.start : second.end] = bytes(second.end - second.start)
    path.write_bytes(data)
    journal = Journal.open(tmp_path)
    assert records(journal) == [1]
    assert journal.last_number == 1
    assert journal.report.set_aside == ()
    assert journal.report.torn_bytes == len(data) - second.start


def test_a_corrupt_record_that_was_acknowledged_is_reported_and_the_rest_salvaged(tmp_path: Path) -> None:
    fill(tmp_path, [[1], [2], [3], [4]])
    path = segments(tmp_path)[0]
    data = bytearray(path.read_bytes())
    damaged = scan(bytes(data)).frames[1]
    data[damaged.start + 40] ^= 4
    path.write_bytes(data)
    journal = Journal.open(tmp_path, at=99)
    assert records(journal) == [1, 3, 4]
    assert journal.report.lost == ((2, 2),)
    assert journal.report.set_aside == (f"{path.name}.corrupt-99",)
    assert (tmp_path / f"{path.name}.corrupt-99").read_bytes() == bytes(data)
    again = Journal.open(tmp_path)
    assert records(again) == [1, 3, 4]
    assert again.report.lost == ()
    assert again.report.set_aside == ()


@pytest.mark.parametrize("damage", ["missing", "empty", "garbage", "tail"])
def test_a_damaged_middle_segment_loses_only_its_own_records(tmp_path: Path, damage: str) -> None:
    fill(tmp_path, [[1, 2], [3, 4], [5, 6]], segment_bytes=1)
    middle = segments(tmp_path)[1]
    data = middle.read_bytes()
    if damage == "missing":
        middle.unlink()
    else:
        middle.write_bytes({"empty": b"", "garbage": b"\x55" * 90, "tail": data[:-1]}[damage])
    journal = Journal.open(tmp_path)
    kept = [3] if damage == "tail" else []
    assert records(journal) == [1, 2, *kept, 5, 6]
    assert journal.report.lost == (((4, 4),) if kept else ((3, 4),))
    again = Journal.open(tmp_path)
    assert records(again) == [1, 2, *kept, 5, 6]
    assert again.report.set_aside == ()
    assert again.report.lost == (((3, 4),) if damage == "missing" else ()), (
        "no file says that it was told before"
    )


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**9), flips=st.integers(1, 8))
def test_flipped_bytes_never_invent_a_record_and_never_stop_the_journal(
    tmp_path_factory: pytest.TempPathFactory, seed: int, flips: int
) -> None:
    directory = tmp_path_factory.mktemp("flip")
    fill(directory, [[1, 2], [3], [4, 5, 6], [7]], segment_bytes=200)
    rng = random.Random(seed)
    for _ in range(flips):
        path = rng.choice(segments(directory))
        data = bytearray(path.read_bytes())
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
    journal = Journal.open(directory)
    kept = records(journal)
    lost = {n for first, last in journal.report.lost for n in range(first, last + 1)}
    assert kept == sorted(kept)
    assert not lost & set(kept)
    newest = journal.last_number or 0
    assert set(kept) | lost == set(range(1, newest + 1))
    journal.append(newest + 1, body(newest + 1))
    journal.sync()
    assert records(Journal.open(directory)) == [*kept, newest + 1]


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=200), at=st.integers(0, 3))
def test_scan_finds_frames_between_any_bytes(data: bytes, at: int) -> None:
    first, second = encode_frame(1, 1, b"abc"), encode_frame(2, 1, b"")
    found = scan(data[:at] + first + data + second).frames
    assert [frame.number for frame in found] == [1, 2]


def test_unlink_before_removes_only_whole_segments_below(tmp_path: Path) -> None:
    fill(tmp_path, [[1, 2], [3, 4], [5, 6]], segment_bytes=1)
    journal = Journal.open(tmp_path, segment_bytes=1)
    before = journal.total_bytes
    assert journal.unlink_before(4) == before - journal.total_bytes > 0
    assert records(journal) == [3, 4, 5, 6]
    assert journal.first_number == 3
    journal.unlink_before(7)
    assert segments(tmp_path) == []
    assert journal.last_number == 6
    journal.append(7, body(7))
    journal.sync()
    journal.unlink_before(8)
    assert records(journal) == [7], "the segment being written stays"


@pytest.mark.parametrize(("number", "kept"), [(2, [1, 2, 3, 4]), (3, [3, 4]), (4, [3, 4]), (5, [])])
def test_a_segment_goes_once_all_its_records_are_below_the_number(
    tmp_path: Path, number: int, kept: list[int]
) -> None:
    fill(tmp_path, [[1, 2], [3, 4]], segment_bytes=1)
    journal = Journal.open(tmp_path)
    journal.unlink_before(number)
    assert records(journal) == kept


@pytest.mark.parametrize(("missing", "files"), [(0, 2), (1, 1)])
def test_a_segment_that_has_reached_its_size_is_followed_by_another(
    tmp_path: Path, missing: int, files: int
) -> None:
    size = len(encode_frame(1, 1, body(1)))
    fill(tmp_path, [[1], [2]], segment_bytes=size + missing)
    assert len(segments(tmp_path)) == files


def test_a_group_that_just_fits_into_the_budget_is_written_and_one_byte_more_is_not(tmp_path: Path) -> None:
    group = len(encode_frame(1, 1, body(1))) + len(encode_frame(2, 1, body(2)))
    journal = Journal.open(tmp_path, max_bytes=group - 1)
    for number in (1, 2):
        journal.append(number, body(number))
    with pytest.raises(JournalFull, match=f"has used 0 of its {group - 1} bytes"):
        journal.sync()
    journal.max_bytes = group
    journal.sync()
    assert journal.total_bytes == group
    journal.max_bytes += len(encode_frame(3, 3, body(3)))
    journal.append(3, body(3))
    journal.sync()
    assert journal.total_bytes == journal.max_bytes


def test_records_of_all_segments_that_were_dropped_are_counted(tmp_path: Path) -> None:
    fill(tmp_path, [[1, 2, 3], [4, 5], [6]], segment_bytes=1)
    journal = Journal.open(tmp_path)
    assert [journal.drop_oldest() for _ in range(3)] == [(1, 3), (4, 5), None]
    assert (journal.dropped_records, journal.first_number, records(journal)) == (5, 6, [6])


def test_the_budget_refuses_a_group_until_space_is_freed(tmp_path: Path) -> None:
    fill(tmp_path, [[1], [2]], segment_bytes=1)
    journal = Journal.open(tmp_path, segment_bytes=1, max_bytes=120)
    journal.append(3, body(3))
    with pytest.raises(JournalFull):
        journal.sync()
    with pytest.raises(JournalFull):
        journal.sync()
    assert records(journal) == [1, 2]
    assert journal.drop_oldest() == (1, 1)
    journal.sync()
    assert records(journal) == [2, 3]
    assert journal.dropped_records == 1
    assert records(Journal.open(tmp_path)) == [2, 3]


def test_without_a_group_a_sync_does_nothing_and_one_segment_is_never_dropped(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path)
    journal.sync()
    assert (list(tmp_path.iterdir()), journal.first_number, journal.last_number) == ([], None, None)
    journal.append(1, b"x")
    journal.sync()
    assert journal.drop_oldest() is None
    assert journal.dropped_records == 0
    journal.close()
