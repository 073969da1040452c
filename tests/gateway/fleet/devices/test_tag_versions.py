"""Which identity labels a window."""

import numpy as np
import pytest

from edge_gateway.fleet.devices.tag_versions import CHANGE_EVERY, CHANGES_KEPT, Identity, TagVersions
from tests.gateway.fleet.states import packed, unpacked


def identity(kind: str, device: str = "a", **tags: str) -> Identity:
    return Identity("north", device, kind, tags)


@pytest.fixture
def versions() -> TagVersions:
    found = TagVersions()
    found.begin(0, identity("first"))
    return found


def kinds(versions: TagVersions, *starts: int, device: int = 0) -> list[str]:
    return [versions.identity(versions.version(device, start)).type for start in starts]


def test_a_version_applies_from_its_start_on(versions: TagVersions) -> None:
    versions.change(0, identity("second"), 100, 0)
    versions.change(0, identity("third"), 200, 0)
    assert kinds(versions, -(10**15), 99, 100, 199, 200, 10**15) == [
        "first",
        "first",
        "second",
        "second",
        "third",
        "third",
    ]
    starts = np.array([99, 100, 200])
    assert versions.versions(np.zeros(3, np.int64), starts).tolist() == [
        versions.version(0, start) for start in starts.tolist()
    ]
    assert versions.newest(0).type == "third"


def test_versions_that_labelled_no_window_are_replaced(versions: TagVersions) -> None:
    for start, kind in ((100, "second"), (200, "third"), (100, "fourth")):
        versions.change(0, identity(kind), start, 0)
    assert kinds(versions, 99, 100, 200) == ["first", "fourth", "fourth"]


def test_a_change_before_every_window_replaces_all(versions: TagVersions) -> None:
    versions.change(0, identity("second"), 100, 0)
    versions.change(0, identity("third"), -(2**63), 0)
    assert kinds(versions, -(2**63), 100) == ["third", "third"]


def test_changes_are_bounded_in_rate_and_refill_with_time(versions: TagVersions) -> None:
    for number in range(CHANGES_KEPT + 1):
        versions.change(0, identity(f"type-{number}"), number, 0)
    assert versions.refused == 1
    assert versions.newest(0).type == f"type-{CHANGES_KEPT - 1}"
    versions.change(0, identity("soon"), 10**6, CHANGE_EVERY - 1)
    assert versions.refused == 2
    versions.change(0, identity("later"), 10**6, CHANGE_EVERY)
    assert versions.newest(0).type == "later"


def test_the_oldest_version_is_forgotten_beyond_those_kept(versions: TagVersions) -> None:
    for number in range(CHANGES_KEPT):
        versions.change(0, identity(f"type-{number}"), 100 + number, number * CHANGE_EVERY)
    assert versions.forgotten == 1
    assert kinds(versions, 0, 100) == ["type-0", "type-0"]


def test_a_reused_number_starts_a_history_of_its_own(versions: TagVersions) -> None:
    old = versions.version(0, 0)
    for number in range(CHANGES_KEPT):
        versions.change(0, identity(f"type-{number}"), number, 0)
    versions.begin(0, identity("other", "b"))
    assert kinds(versions, 0, 10**9) == ["other", "other"]
    with pytest.raises(KeyError):
        versions.identity(old)
    versions.change(0, identity("next", "b"), 100, 0)
    assert versions.newest(0).type == "next", "it has all its changes"


def test_a_renumbered_device_keeps_its_history_under_new_numbers(versions: TagVersions) -> None:
    versions.begin(1, identity("other", "b"))
    for start in (100, 200):
        versions.change(0, identity(f"from {start}"), start, 0)
    old = [versions.version(0, start) for start in (0, 100, 200)]
    versions.renumber(0)
    new = [versions.version(0, start) for start in (0, 100, 200)]
    assert not set(old) & set(new)
    assert kinds(versions, 99, 100, 200) == ["first", "from 100", "from 200"]
    assert kinds(versions, 0, device=1) == ["other"]
    with pytest.raises(KeyError):
        versions.identity(old[0])


def test_a_renumbered_device_has_each_version_once_and_goes_on_changing(versions: TagVersions) -> None:
    versions.change(0, identity("second"), 100, 0)
    versions.renumber(0)
    versions.renumber(0)
    assert versions.snapshot()["type"] == ["first", "second"]
    versions.change(0, identity("third"), 100, 0)
    assert versions.snapshot()["type"] == ["first", "third"]


def test_a_renamed_version_keeps_its_number(versions: TagVersions) -> None:
    number = versions.version(0, 0)
    versions.rename(0, identity("first", line="L1"))
    assert versions.identity(number).tags == {"line": "L1"}


def test_equal_tags_are_held_once_and_no_others_pile_up(versions: TagVersions) -> None:
    for device in (1, 2):
        versions.begin(device, identity("pump", line="L1"))
    assert versions.newest(1).tags is versions.newest(2).tags
    for number in range(1_000):
        versions.rename(0, identity("first", line=str(number)))
    assert len(versions._tags) < 100


def test_versions_come_back_from_a_checkpoint(versions: TagVersions) -> None:
    versions.begin(1, identity("other", "b", line="L1"))
    versions.change(0, identity("second"), 100, 5)
    again = TagVersions()
    again.restore(unpacked(packed(versions.snapshot())))
    for one in (versions, again):
        one.change(0, identity("third"), 200, 5)
        one.begin(2, identity("new", "c"))
    assert packed(again.snapshot()) == packed(versions.snapshot())
    assert kinds(again, 99, 100, 200) == ["first", "second", "third"]
