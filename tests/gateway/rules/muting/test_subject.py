"""An alert as selections see it."""

from edge_gateway.rules.muting.subject import AlertSubject, attributes_of, text_of
from fleet_config.match import Match
from tests.gateway.rules.fleet import Fleet

DOOR = AlertSubject(
    "DoorOpen", "d1", "info", {"site": "berlin", "device": "d1", "type": "unknown", "room": "a"}, {}
)
SITE = AlertSubject("SiteDown", "berlin", "critical", {"site": "berlin"}, {"team": "net"})


def test_an_alert_is_selected_by_itself_and_by_what_it_is_about() -> None:
    for globs in (
        {"alert": "Door*"},
        {"level": "info"},
        {"subject": "d1"},
        {"site": "berlin"},
        {"room": "a"},
    ):
        assert DOOR.fits(Match.of(globs))
    assert not DOOR.fits(Match.of({"alert": "Door*", "room": "b"}))


def test_a_group_has_only_what_its_members_share() -> None:
    assert SITE.fits(Match.of({"site": "b*", "subject": "berlin"}))
    assert not SITE.fits(Match.of({"device": "*"}))
    assert SITE.shared(("site",)) == DOOR.shared(("site",)) == ("berlin",)


def test_what_is_missing_or_unknown_is_shared_with_nobody() -> None:
    assert SITE.shared(("site", "room")) is None
    assert DOOR.shared(("type",)) is None


def test_the_attributes_of_a_device_are_its_properties_and_tags() -> None:
    fleet = Fleet()
    device = fleet.born("d1", "lyon", "door", room="a", device="not this")
    assert attributes_of(fleet.registry, device) == {
        "site": "lyon",
        "device": "d1",
        "type": "door",
        "room": "a",
    }
    assert text_of(DOOR.key) == "DoorOpen/d1"
