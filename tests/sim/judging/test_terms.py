"""What verify reads from a gateway's retained status."""

import pytest

from fleet_sim.judging.stored import StoredUnreadable
from fleet_sim.judging.terms import TimeLimits, gateway_terms, not_counted, rounded_wait, wait_for_windows
from tests.sim.judging.small_runs import BASE, STATUS


def test_the_tiers_are_read() -> None:
    assert gateway_terms(STATUS).tiers[1].keep_ms is None
    ever = {"every": 60_000, "bucket": "b", "keep": 0}
    assert gateway_terms(STATUS | {"windows": [ever]}).tiers[0].keep_ms is None


@pytest.mark.parametrize("windows", [[], [{"every": 0}], None, [{}], 5])
def test_a_status_that_does_not_say_is_refused(windows: object) -> None:
    with pytest.raises(StoredUnreadable, match="does not say how it computes windows"):
        gateway_terms(STATUS | {"windows": windows})


def test_what_it_lacks_is_read() -> None:
    assert (gateway_terms(STATUS).floor, gateway_terms(STATUS).offline) == (0, False)
    terms = gateway_terms(STATUS | {"store": {"floor": BASE}, "state": "offline", "at": BASE + 5})
    assert (terms.floor, terms.offline, terms.at) == (BASE, True, BASE + 5)


@pytest.mark.parametrize(
    ("idle", "late", "wait"), [(30_000, 2_000, "40s"), (0, 0, "10s"), (600_000, 1, "10m10s")]
)
def test_a_wait_lasts_until_silence_has_closed_every_window(idle: int, late: int, wait: str) -> None:
    assert wait_for_windows(TimeLimits(0, 0, allowed_lateness_ms=late, idle_close_ms=idle)) == wait


def test_what_was_not_counted_is_what_the_counters_rose_by() -> None:
    first, last, anew = ({"values": {"too_late": n}, "messages": {"not_known": 2 * n}} for n in (5, 8, 1))
    assert not_counted([first, last]) == (3, 6)
    assert not_counted([{}, last]) == (8, 16)
    assert not_counted([first, anew]) == (None, None), "its spool is another one"
    assert not_counted([last]) == (None, None), "a run that was killed has heard it once"


@pytest.mark.parametrize(("ms", "wait"), [(1, "10s"), (10_000, "10s"), (10_000.5, "20s"), (425_000, "7m10s")])
def test_a_wait_is_rounded_up(ms: float, wait: str) -> None:
    assert rounded_wait(ms) == wait
