"""Who is online, when each device was last heard, and who is silent."""

import numpy as np
import pytest

from edge_gateway.fleet.devices.presence import Presence
from tests.gateway.fleet.states import packed, unpacked


@pytest.fixture
def presence() -> Presence:
    """Three devices that began when the listening clock showed 100."""
    found = Presence()
    found.now = 100
    for device in range(3):
        found.begin(device)
    return found


def test_the_last_status_says_who_is_online(presence: Presence) -> None:
    said = [presence.online(0)]
    for status in (presence.born, presence.gone, presence.born, presence.status_cleared):
        status(0)
        said.append(presence.online(0))
    assert said == [None, True, False, True, None]


def test_after_an_unreadable_status_a_device_is_not_known_to_be_online(presence: Presence) -> None:
    presence.born(0)
    presence.unreadable(0, offline=False)
    assert presence.online(0) is None
    presence.unreadable(0, offline=True)
    assert presence.online(0) is False


def test_a_device_is_silent_once_it_was_last_heard_before_a_time(presence: Presence) -> None:
    presence.now = 200
    presence.seen(np.array([0]), 5_000)
    presence.heard(1)
    assert presence.silent(200).tolist() == [False, False, True]
    assert presence.silent(201).tolist() == [True, True, True]
    assert [presence.last_seen(device) for device in range(3)] == [5_000, 0, 0]


def test_an_expired_device_is_silent_until_it_is_heard_and_a_retired_one_never(presence: Presence) -> None:
    presence.born(0)
    presence.expire(0)
    presence.retire(np.array([1]))
    assert presence.silent(-(10**12)).tolist() == [True, False, False]
    assert presence.silent(10**12).tolist() == [True, False, True]
    presence.heard(0)
    assert presence.silent(100).tolist() == [False, False, False]
    assert presence.online(1) is None


def test_a_number_begins_again_for_another_device(presence: Presence) -> None:
    presence.born(0)
    presence.seen(np.array([0]), 5_000)
    presence.now = 300
    presence.begin(0)
    assert (presence.online(0), presence.last_seen(0)) == (None, 0)
    assert presence.silent(300).tolist() == [False, True, True]


def test_presence_comes_back_from_a_checkpoint(presence: Presence) -> None:
    presence.born(0)
    presence.unreadable(1, offline=False)
    again = Presence()
    again.restore(unpacked(packed(presence.snapshot())))
    for one in (presence, again):
        one.now = 400
        one.begin(3)
    assert packed(again.snapshot()) == packed(presence.snapshot())
    assert again.silent(101).tolist() == [True, True, True, False]
