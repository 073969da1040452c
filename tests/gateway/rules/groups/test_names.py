from edge_gateway.rules.groups.names import Groups
from fleet_wire.topics import NO_SITE


def test_a_group_has_one_number_and_is_called_by_its_values() -> None:
    groups = Groups()
    assert (
        groups.number({"site": "berlin", "room": "2"}) == groups.number({"site": "berlin", "room": "2"}) == 0
    )
    assert groups.number({"room": "2"}) == 1
    assert groups.device_name == ["site=berlin, room=2", "room=2"]
    assert groups.device_site == ["berlin", NO_SITE]
    assert (groups.type(0), groups.tags(0)) == ("unknown", {"site": "berlin", "room": "2"})
    assert groups.find("room=2") == 1
    assert groups.find("room=3") is None


def test_the_number_of_a_group_that_is_gone_is_given_again() -> None:
    groups = Groups()
    first = groups.number({"type": "pump"})
    groups.free([first])
    groups.free([first])
    assert groups.find("type=pump") is None
    assert groups.number({"type": "fan"}) == first
    assert groups.number({"type": "pump"}) == first + 1
    assert groups.type(first) == "fan"


def test_numbers_are_the_same_after_a_restart() -> None:
    groups = Groups()
    for room in "abc":
        groups.number({"room": room})
    groups.free([1])
    again = Groups()
    again.restore(groups.snapshot())
    assert again.snapshot() == groups.snapshot()
    groups.number({"room": "d"})
    groups.free([1, 0])
    groups.number({"room": "c"})
    again.restore(groups.snapshot())
    assert again.find("c") is None
    assert again.find("room=c") == groups.find("room=c") == 2
    again.restore({"values": [[["room", "a"]], [], [["room", "c"]]], "free": [1]})
    assert [again.number({"room": room}) for room in "adc"] == [0, 1, 2]
