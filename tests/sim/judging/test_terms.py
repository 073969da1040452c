"""What verify reads from a gateway's retained status."""

import pytest

from fleet_sim.judging.stored import StoredUnreadable
from fleet_sim.judging.terms import TimeLimits, gateway_terms, wait_for_windows
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
