"""How far time has advanced for each device, and what is due by it. A base window is 10 ms, lateness 5, idle 100."""

import numpy as np
import pytest

from edge_gateway.records.codec import pack, unpack
from edge_gateway.records.window_block import NEVER
from edge_gateway.windows.watermarks import FOREVER, Watermarks


def ints(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


@pytest.fixture
def marks() -> Watermarks:
    """Watermarks of two devices; coarser windows are 30 and 60 ms."""
    found = Watermarks(10, (30, 60), 5, 100)
    found.grow(2)
    return found


def observe(
    marks: Watermarks, *readings: tuple[int, int], cap: int | None = None, listening: int = 0
) -> bool:
    device, ts = zip(*readings, strict=True)
    return marks.observe(ints(*device), ints(*ts), cap, listening)


def test_a_window_is_due_once_the_watermark_reaches_its_end(marks: Watermarks) -> None:
    observe(marks, (0, 14))
    assert marks.due_to[0] == 0
    assert observe(marks, (0, 15), (0, 3))
    assert (marks.newest[0], marks.due_to[0]) == (15, 10)
    assert not observe(marks, (0, 24))
    assert marks.due_to[:2].tolist() == [10, NEVER]


def test_a_time_beyond_the_cap_advances_the_watermark_to_the_cap_only(marks: Watermarks) -> None:
    observe(marks, (0, 1_000), cap=100)
    assert (marks.newest[0], marks.furthest[0], marks.due_to[0]) == (100, 1_000, 90)


def test_a_silent_device_s_open_windows_become_due(marks: Watermarks) -> None:
    observe(marks, (0, 12), listening=7)
    assert not marks.expire_silent(106)
    assert marks.expire_silent(107)
    assert marks.due_to[:2].tolist() == [20, NEVER]
    assert not marks.expire_silent(10_000), "nothing of it is open any more"
    observe(marks, (0, 20), listening=10_000)
    assert marks.expire_silent(10_100), "a reading at the very start of a window opens it"
    assert marks.due_to[0] == 30


def test_a_device_that_is_heard_without_a_time_is_not_silent(marks: Watermarks) -> None:
    observe(marks, (0, 12), listening=7)
    marks.hear(ints(0, 1, 1, 99), 100)
    assert not marks.expire_silent(199)
    assert marks.expire_silent(200)
    assert marks.unheard(ints(0, 1)) == [1], "its first reading is still to come"


def test_time_goes_on_for_a_silent_device_with_nothing_open(marks: Watermarks) -> None:
    observe(marks, (0, 12), (1, 12), listening=7)
    marks.close_to(ints(0), 20)
    assert marks.silent_time(106)[:2].tolist() == [NEVER, NEVER]
    assert marks.silent_time(107)[:2].tolist() == [20, NEVER], "at least what is closed"
    assert marks.silent_time(120)[:2].tolist() == [25, NEVER]


def test_of_a_device_whose_clock_stepped_back_in_silence_everything_is_over(marks: Watermarks) -> None:
    observe(marks, (0, 12), listening=7)
    marks.rewind(ints(0))
    assert marks.silent_time(106)[0] == NEVER
    assert marks.silent_time(107)[:2].tolist() == [FOREVER, NEVER]


def test_a_device_counted_as_silent_needs_no_further_silence(marks: Watermarks) -> None:
    observe(marks, (0, 12), listening=7)
    marks.mark_silent(ints(0))
    assert marks.expire_silent(0)


def test_closing_never_goes_back_and_tells_when_it_passes_the_end_of_a_coarser_window(
    marks: Watermarks,
) -> None:
    marks.close_to(ints(0, 1), ints(20, 0))
    marks.crossed = False
    marks.close_to(ints(0), 10)
    assert (marks.closed_to[:2].tolist(), marks.crossed) == ([20, 0], False)
    marks.close_to(ints(0), 29)
    seen = [marks.crossed]
    marks.close_to(ints(0, 1), ints(30, 0))
    seen.append(marks.crossed)
    assert seen == [False, True]


def test_what_is_due_is_closed_where_nothing_of_it_is_open(marks: Watermarks) -> None:
    observe(marks, (0, 15))
    assert marks.close_to_due()
    assert marks.closed_to[:2].tolist() == [10, NEVER]
    assert not marks.close_to_due()


def test_everything_open_can_be_made_due(marks: Watermarks) -> None:
    observe(marks, (0, 20))
    marks.all_due()
    assert marks.due_to[:2].tolist() == [30, NEVER]


def test_a_forgotten_device_was_never_heard(marks: Watermarks) -> None:
    observe(marks, (0, 12), (1, 12))
    marks.forget(ints(1, 2, 99))
    assert [marks.newest[1], marks.furthest[1], marks.due_to[1], marks.closed_to[1], marks.heard[1]] == [
        NEVER
    ] * 5
    assert marks.newest[0] == 12


def test_watermarks_come_back_from_a_checkpoint(marks: Watermarks) -> None:
    observe(marks, (0, 12), (1, 100), listening=7)
    marks.close_to(ints(1), 90)
    again = Watermarks(10, (30, 60), 5, 100)
    again.restore(unpack(pack(marks.snapshot())))
    for one in (marks, again):
        one.grow(3)
        observe(one, (2, 50), (0, 40))
    assert pack(again.snapshot()) == pack(marks.snapshot())
    assert again.crossed
