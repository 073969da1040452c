"""What stays of boots and devices that were forgotten."""

import pytest

from edge_gateway.fleet.arrivals import forgotten as forgotten_module
from edge_gateway.fleet.arrivals.boot_mark import NEW, NOT_KNOWN, BootMark
from edge_gateway.fleet.arrivals.forgotten import TOMBSTONES, Forgotten
from edge_gateway.fleet.timestamps import NO_TIME
from tests.gateway.fleet.states import packed, unpacked


def timed(boot: int, newest: int) -> BootMark:
    return BootMark(boot, top=9, newest=newest)


def untimed(boot: int, top: int) -> BootMark:
    return BootMark(boot, top=top, untimed=True)


def test_a_boot_of_a_device_of_which_nothing_was_forgotten_is_all_new() -> None:
    assert Forgotten().begin(0, 5) == BootMark(5)


def test_of_boots_with_times_the_newest_time_stays() -> None:
    forgotten = Forgotten()
    forgotten.boot(0, timed(5, 200))
    forgotten.boot(0, timed(6, 100))
    assert forgotten.begin(0, 5) == forgotten.begin(0, 5) == BootMark(5, unsure_to=200)
    assert forgotten.begin(1, 5) == BootMark(5), "another device"


def test_of_a_boot_without_times_the_highest_seq_stays_until_it_is_back() -> None:
    forgotten = Forgotten()
    forgotten.boot(0, untimed(5, 9))
    begun = forgotten.begin(0, 5)
    assert (begun.top, begun.judged_from, begun.untimed, begun.unsure_to) == (9, 10, True, NO_TIME)
    assert forgotten.begin(0, 5) == BootMark(5), "its mark remembers it now"


def erased(top: int, newest: int, *, untimed: bool) -> BootMark:
    """Boot 5 of a device that counts anew after `top`, the newest of it at `newest`."""
    mark = BootMark(5, top=top, newest=newest, untimed=untimed)
    mark.begin_anew()
    mark.accept(0, newest + 10)
    return mark


def test_of_a_boot_that_began_anew_what_came_before_stays_not_known() -> None:
    forgotten = Forgotten()
    forgotten.boot(0, erased(13, 200, untimed=True))
    begun = forgotten.begin(0, 5)
    assert begun.accept(12, 150) == begun.accept(13, 200) == NOT_KNOWN, "repeats of before"
    assert begun.accept(9, NO_TIME) == NOT_KNOWN
    assert begun.accept(14, NO_TIME) == begun.accept(15, 300) == NEW


def test_a_boot_that_began_anew_with_an_older_clock_does_not_forget_its_earlier_times() -> None:
    mark = BootMark(5, top=13, newest=200)
    mark.begin_anew()
    mark.accept(0, 50)
    forgotten = Forgotten()
    forgotten.boot(0, mark)
    assert forgotten.begin(0, 5).accept(13, 200) == NOT_KNOWN


def test_what_came_before_stays_though_a_boot_is_forgotten_again() -> None:
    forgotten = Forgotten()
    forgotten.boot(0, erased(13, 200, untimed=True))
    forgotten.boot(0, forgotten.begin(0, 5))
    begun = forgotten.begin(0, 5)
    assert begun.accept(13, NO_TIME) == begun.accept(12, 150) == NOT_KNOWN


def test_a_device_keeps_its_newest_tombstones() -> None:
    forgotten = Forgotten()
    for boot in range(TOMBSTONES + 2):
        forgotten.boot(0, untimed(boot, 3))
    assert [forgotten.begin(0, boot).top for boot in (0, 1, 2, TOMBSTONES + 1)] == [-1, -1, 3, 3]
    assert forgotten.tombstones_dropped == 2


def test_a_device_that_was_retired_is_recalled_by_its_name_under_another_number() -> None:
    forgotten = Forgotten()
    forgotten.retire(3, "pump", [timed(5, 200), untimed(6, 9)])
    forgotten.recall(7, "pump")
    assert (forgotten.begin(7, 5).unsure_to, forgotten.begin(7, 6).top) == (200, 9)
    assert forgotten.begin(3, 5) == BootMark(5), "the number stands for another device"


def test_of_a_retired_device_the_boot_that_it_would_go_on_with_stays_with_its_highest_seq() -> None:
    forgotten = Forgotten()
    forgotten.retire(3, "pump", [timed(5, 100), timed(6, 200)])
    forgotten.recall(7, "pump")
    assert forgotten.begin(7, 6) == BootMark(6, unsure_to=200, judged_from=10)
    assert forgotten.begin(7, 5) == BootMark(5, unsure_to=200)


def test_beyond_their_number_retired_devices_are_remembered_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgotten_module, "RETIRED", 1)
    forgotten = Forgotten()
    forgotten.retire(0, "old", [timed(5, 200), untimed(6, 9)])
    forgotten.retire(1, "new", [timed(5, 100)])
    forgotten.retire(2, "silent", [])
    assert forgotten.tombstones_dropped == 1
    for number, name in enumerate(("old", "new", "never seen")):
        forgotten.recall(number, name)
        assert forgotten.begin(number, 5).unsure_to == 200


def test_a_snapshot_restores_it() -> None:
    first, second = Forgotten(), Forgotten()
    first.boot(0, untimed(6, 9))
    first.retire(1, "pump", [timed(5, 200)])
    second.restore(unpacked(packed(first.snapshot())))
    assert packed(second.snapshot()) == packed(first.snapshot())
    second.recall(4, "pump")
    assert (second.begin(4, 5).unsure_to, second.begin(0, 6).top) == (200, 9)
    assert second.begin(4, 5).judged_from == 10
