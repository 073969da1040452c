"""Local times as moments, beside what Python's own zoneinfo makes of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.rules.files.zone_data import read_zones
from edge_gateway.rules.language.zones import UTC_EVERYWHERE, Zone

NAMES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia", "UTC")
ZONES = read_zones("Europe/Berlin", {name: name for name in NAMES})
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local time
MS = timedelta(milliseconds=1)


def ms(text: str) -> int:
    return (datetime.fromisoformat(text).replace(tzinfo=None) - EPOCH) // MS


@pytest.mark.parametrize(
    ("local", "first", "last"),
    [
        ("2026-07-01T12:00", "2026-07-01T10:00", "2026-07-01T10:00"),
        ("2026-03-29T02:30", "2026-03-29T01:00", "2026-03-29T01:00"),  # skipped
        ("2026-03-29T03:00", "2026-03-29T01:00", "2026-03-29T01:00"),
        ("2026-10-25T02:30", "2026-10-25T00:30", "2026-10-25T01:30"),  # shown twice
        ("2026-10-25T03:00", "2026-10-25T02:00", "2026-10-25T02:00"),
    ],
)
def test_times_that_clocks_skip_or_show_twice(local: str, first: str, last: str) -> None:
    zone = ZONES.zone("Europe/Berlin")
    assert zone.moment(ms(local), last=False) == ms(first)
    assert zone.moment(ms(local), last=True) == ms(last)


@given(st.sampled_from(NAMES), st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1)))  # noqa: DTZ001
def test_a_local_time_is_the_moment_at_which_clocks_show_it(name: str, local: datetime) -> None:
    local = local.replace(microsecond=0)
    zone, known = ZONES.zone(name), ZoneInfo(name)
    moments = [zone.moment((local - EPOCH) // MS, last=last) for last in (False, True)]
    shown = [datetime.fromtimestamp(each / 1000, known).replace(tzinfo=None) for each in moments]
    if shown[0] != local:
        back = local.replace(tzinfo=known).astimezone(UTC).astimezone(known).replace(tzinfo=None)
        assert back != local, "clocks show it, and it was not found"
        before = datetime.fromtimestamp(moments[0] / 1000 - 1, known).replace(tzinfo=None)
        assert before < local < shown[0]
        return
    assert shown == [local, local]
    own = {local.replace(tzinfo=known, fold=fold).timestamp() * 1000 for fold in (0, 1)}
    assert moments == [min(own), max(own)]
    assert [zone.offset(each) for each in moments] == [(local - EPOCH) // MS - each for each in moments]


def test_a_site_has_its_own_zone_else_the_gateways() -> None:
    assert ZONES.name("Asia/Kolkata") == "Asia/Kolkata"
    assert ZONES.name("elsewhere") == "Europe/Berlin"
    assert UTC_EVERYWHERE.zone(UTC_EVERYWHERE.name("any")) == Zone()
