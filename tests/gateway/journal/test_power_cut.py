"""Power cuts in the middle of journal and checkpoint writing, on a disk that forgets what was not synced."""

import random
from pathlib import Path

import pytest

from edge_gateway.journal.checkpoint import read_latest, write_checkpoint
from edge_gateway.journal.segments import Journal
from tests.gateway.journal.traced_files import TracedFiles
from tests.proofs.power.disk_model import VARIANTS


def body(number: int) -> bytes:
    """Return bytes of a length by which some commit groups are padded."""
    return random.Random(number).randbytes(10 + number * 911 % 1_700)


def written(files: TracedFiles) -> list[tuple[int, int, int]]:
    """Append groups and unlink behind a mark; (step, last durable record, mark) as they come true."""
    promises = [(0, 0, 0)]
    mark = number = 0
    journal = Journal.open(files.root / "journal", segment_bytes=9_000, files=files)
    for group in range(25):
        for _ in range(1 + group % 4):
            number += 1
            journal.append(number, body(number))
        journal.sync()
        promises.append((len(files.steps), number, mark))
        if group % 6 == 5:
            mark = number - 3
            promises.append((len(files.steps), number, mark))
            journal.unlink_before(mark)
    journal.close()
    return promises


@pytest.mark.parametrize("variant", VARIANTS)
def test_whatever_the_disk_forgot_every_acknowledged_record_is_there_and_none_is_invented(
    tmp_path: Path, variant: str
) -> None:
    (tmp_path / "whole").mkdir()
    files, chance = TracedFiles(tmp_path / "whole"), random.Random(variant)
    promises = written(files)
    assert len(files.steps) > 60
    for cut in range(len(files.steps) + 1):
        _, durable, mark = max(promise for promise in promises if promise[0] <= cut)
        left = tmp_path / f"left{cut}"
        files.cut(cut, variant, chance, left)
        journal = Journal.open(left / "journal", segment_bytes=9_000)
        records = list(journal.read(mark))
        numbers = [number for number, _ in records]
        assert all(data == body(number) for number, data in records)
        assert numbers == list(range(numbers[0], numbers[-1] + 1)) if numbers else durable == 0
        assert set(range(max(mark, 1), durable + 1)) <= set(numbers)
        assert journal.report.lost == ()
        assert journal.report.set_aside == ()
        newest = journal.last_number or durable
        journal.append(newest + 1, body(newest + 1))
        journal.sync()
        journal.close()
        assert [number for number, _ in Journal.open(left / "journal").read(mark)] == [*numbers, newest + 1]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_checkpoint_is_the_old_one_or_the_new_one_at_every_cut(tmp_path: Path, variant: str) -> None:
    (tmp_path / "whole").mkdir()
    files, chance = TracedFiles(tmp_path / "whole"), random.Random(variant)
    promises = [0]
    for number in range(1, 6):
        write_checkpoint(files.root / "checkpoints", number, {"n": number}, files=files)
        promises.append(len(files.steps))
    for cut in range(len(files.steps) + 1):
        left = tmp_path / f"left{cut}"
        files.cut(cut, variant, chance, left)
        latest = read_latest(left / "checkpoints")
        held = sum(promise <= cut for promise in promises) - 1
        assert (latest.state["n"] if latest else 0) in {held, held + 1}


def test_a_record_that_a_killed_process_had_not_synced_is_durable_once_the_next_one_builds_on_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "whole").mkdir()
    files = TracedFiles(tmp_path / "whole")
    killed = Journal.open(files.root / "journal", files=files)
    killed.append(1, body(1))
    killed.sync(power=False)
    following = Journal.open(files.root / "journal", files=files)
    following.append(2, body(2))
    following.sync()
    files.cut(len(files.steps), "dropped", random.Random(), tmp_path / "left")
    journal = Journal.open(tmp_path / "left" / "journal")
    assert [number for number, _ in journal.read()] == [1, 2]
    assert journal.report.lost == ()
