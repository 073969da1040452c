from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.rules.files.zone_data import read_zones, zone_changes
from edge_gateway.rules.language.zones import UTC_EVERYWHERE, Zone

NAMES = ("Europe/Berlin", "America/Sao_Paulo", "Africa/Casablanca", "Australia/Lord_Howe", "Pacific/Apia")


@given(st.sampled_from(NAMES), st.integers(946_684_800, 4_102_444_800 - 1))
def test_the_changes_are_those_of_the_machine(name: str, second: int) -> None:
    ahead = datetime.fromtimestamp(second, ZoneInfo(name)).utcoffset()
    assert ahead is not None
    assert Zone(zone_changes(name)).offset(second * 1000) == ahead.total_seconds() * 1000


@pytest.mark.parametrize("name", ["Europe/Berlinn", "", "/etc/passwd", "../UTC", "a\0b"])
def test_a_zone_that_the_machine_lacks(name: str) -> None:
    with pytest.raises(ValueError, match="no zone of this name"):
        zone_changes(name)


def test_utc_needs_no_data() -> None:
    assert read_zones(None, {}) == UTC_EVERYWHERE
    assert read_zones("Europe/Berlin", {"london": "UTC"}).changes.keys() == {"Europe/Berlin"}
