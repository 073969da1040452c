"""The newest windows of a long history."""

from pathlib import Path

import pytest

from edge_gateway.store.history import History
from tests.gateway.store.fleet import DAY, MINUTE, T0
from tests.gateway.store.stored import EVERY, filled, spread


@pytest.mark.parametrize("apart", [MINUTE, 7 * MINUTE, 40 * DAY])
@pytest.mark.parametrize("limit", [1, 2, 3, 57, 1000])
def test_a_limit_leaves_the_newest_windows(tmp_path: Path, apart: int, limit: int) -> None:
    spread(tmp_path, apart)
    with History.open(tmp_path, EVERY) as history:
        for chosen in ({"device": "dev-1"}, {}, {"since": T0 + 3, "until": T0 + 100 * apart}):
            whole = list(history.query("windows", tier=0, **chosen))
            assert list(history.query("windows", tier=0, limit=limit, **chosen)) == whole[-limit:]


def test_a_limit_leaves_the_newest_of_all_tiers(tmp_path: Path) -> None:
    filled(tmp_path, series=2)
    with History.open(tmp_path, EVERY) as history:
        whole = list(history.query("windows"))
        some = list(history.query("windows", limit=5))
    assert len(some) == 5
    assert [row for row in whole if row in some] == some
    oldest = min(row["start"] for row in some)
    assert all(row in some or row["start"] <= oldest for row in whole)
