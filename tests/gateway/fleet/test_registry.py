import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.columns.strings import StringTable
from edge_gateway.fleet.devices.births import MOST_KINDS, MOST_TAGS, MOST_UNITS, Needed
from edge_gateway.fleet.devices.reclaiming import RECLAIM_EVERY, STRANGER_AFTER
from edge_gateway.fleet.devices.series import KIND_NUMBER, KIND_OPEN, KIND_STATE, NO_ROOM
from edge_gateway.fleet.devices.tag_versions import CHANGE_EVERY, CHANGES_KEPT
from edge_gateway.fleet.limits import Refusal, RegistryLimits
from edge_gateway.fleet.registry import Registry, with_all_devices_changed
from fleet_wire.control_messages import Birth, MetricInfo
from tests.gateway.fleet.states import packed, unpacked


def birth(kind: str = "pump", **others: object) -> Birth:
    return Birth(type=kind, boot=1, **others)  # type: ignore[arg-type]


def series_of(registry: Registry, device: int, *names: str) -> list[int] | None:
    """The series of a message; None where there is no room for all of them."""
    table = registry.table
    layout = table.layouts.number(names)
    start = int(table.starts(np.array([device]), np.array([layout]))[0])
    return None if start == NO_ROOM else table.layouts.slots[start : start + len(names)].tolist()


@pytest.fixture
def registry() -> Registry:
    return Registry()


def version_of(registry: Registry, device: int, window_start: int) -> int:
    return int(registry.tag_versions(np.array([device]), np.array([window_start]))[0])


class TestDevices:
    def test_a_device_keeps_its_number_and_its_site(self, registry: Registry) -> None:
        assert registry.device("north", "pump-1") == 0
        assert registry.device("north", "pump-2") == 1
        assert registry.device("north", "pump-1") == 0
        assert registry.device("south", "pump-1") is Refusal.WRONG_SITE
        assert registry.device_of("fleet/v1/north/pump-2/telemetry") == 1
        assert registry.device_of("fleet/v1/north/pump-2/status") is Refusal.TOPIC
        assert registry.refused == {"wrong_site": 1, "bad_topic": 1}

    def test_bad_levels_and_the_cap_are_refused(self) -> None:
        registry = Registry(RegistryLimits(devices=1))
        assert registry.device("no/rth", "pump") is Refusal.TOPIC
        assert registry.device("north", "") is Refusal.TOPIC
        assert registry.device("north", "pump") == 0
        assert registry.device("north", "other") is Refusal.DEVICES

    def test_changes_are_seen_since_a_version(self, registry: Registry) -> None:
        first, second = registry.device("n", "a"), registry.device("n", "b")
        assert isinstance(first, int)
        seen = registry.version
        assert registry.changed_devices(0).tolist() == [first, second]
        assert registry.changed_devices(seen).tolist() == []
        assert registry.birth(first, birth(), 0)
        assert not registry.birth(first, birth(metrics={"t": MetricInfo(unit="C")}), 0)
        assert registry.changed_devices(seen).tolist() == [first]

    def test_births_and_wills_say_who_is_there(self, registry: Registry) -> None:
        registry.device("n", "a")
        assert registry.presence.online(0) is None
        assert registry.type(0) == "unknown"
        assert registry.tags(0) == {}
        assert registry.units(0) == {}
        assert registry.position(0) is None
        registry.birth(0, birth(tags={"zone": "z"}, metrics={"t": MetricInfo(unit="C")}, lat=1.0, lon=2.0), 0)
        assert registry.presence.online(0) is True
        assert (registry.type(0), registry.tags(0)) == ("pump", {"zone": "z"})
        assert registry.units(0) == {"t": "C"}
        assert registry.position(0) == (1.0, 2.0)
        registry.presence.gone(0)
        assert registry.presence.online(0) is False

    def test_a_retired_device_frees_its_place_and_comes_back_as_another(self) -> None:
        registry = Registry(RegistryLimits(devices=1, series=1))
        registry.device("n", "a")
        registry.birth(0, birth(tags={"zone": "z"}), 60_000)
        old = version_of(registry, 0, 60_000)
        assert series_of(registry, 0, "t") == [0]
        registry.table.kind[0] = KIND_STATE
        registry.set_clock(1_000)
        registry.presence.seen(np.array([0]), 5)
        assert registry.silent(1_000, 0).tolist() == []
        assert registry.silent(1_001, 0).tolist() == [0]
        assert registry.retire(np.array([0])).tolist() == [0]
        assert registry.silent(1_001, 0).tolist() == []
        assert (registry.alive, registry.table.counted, registry.retired) == (0, 0, 1)
        assert registry.device_name[0] == "a"
        assert registry.tags(0) == {"zone": "z"}, "until the number is given again"
        assert registry.device("n", "b") == 0
        assert registry.tags(0) == {}
        assert registry.presence.last_seen(0) == 0
        assert version_of(registry, 0, 60_000) > old
        with pytest.raises(KeyError):
            registry.tags_of(old)
        assert series_of(registry, 0, "t") == [0]
        assert registry.table.kind[0] == KIND_OPEN
        assert series_of(registry, 0, "u") is None
        again = Registry(registry.limits)
        again.restore(unpacked(packed(registry.snapshot())))
        assert packed(again.snapshot()) == packed(registry.snapshot())
        assert again.device("n", "a") is Refusal.DEVICES

    def test_what_is_known_by_name_can_be_found(self, registry: Registry) -> None:
        registry.device("north", "pump")
        assert (registry.find("pump"), registry.find("other")) == (0, None)
        assert registry.is_live(0)
        registry.retire(np.array([0]))
        assert not registry.is_live(0)

    def test_a_cleared_status_is_noted_for_the_device_at_its_own_site_only(self, registry: Registry) -> None:
        registry.device("north", "pump")
        registry.birth(0, birth(), 0)
        registry.status_cleared("south", "pump")
        registry.status_cleared("north", "unknown")
        assert registry.presence.online(0) is True
        registry.status_cleared("north", "pump")
        assert registry.presence.online(0) is None

    def test_near_the_cap_a_device_without_a_birth_goes_after_a_day_of_silence(self) -> None:
        registry = Registry(RegistryLimits(devices=5))
        for name in "abc":
            registry.device("n", name)
        registry.birth(0, birth(), 0)
        assert registry.silent(STRANGER_AFTER + 1, 10**12).tolist() == []
        registry.device("n", "d")
        assert registry.silent(STRANGER_AFTER, 10**12).tolist() == []
        assert registry.silent(STRANGER_AFTER + 1, 10**12).tolist() == [1, 2, 3]


class TestSites:
    def test_a_gateway_owns_the_sites_it_is_given_or_all(self) -> None:
        registry, every = Registry(sites=frozenset({"north"})), Registry()
        assert [registry.owns(site) for site in ("north", "south")] == [True, False]
        assert every.owns("south")
        topics = ("fleet/v1/south/a/telemetry", "fleet/v1/north/a/telemetry", "elsewhere")
        assert [registry.is_foreign(topic) for topic in topics] == [True, False, False]
        assert not any(map(every.is_foreign, topics))

    def test_devices_of_a_site_that_left_depart(self) -> None:
        before, after = Registry(), Registry(sites=frozenset({"north"}))
        before.device("north", "a")
        before.device("south", "b")
        after.restore(unpacked(packed(with_all_devices_changed(before.snapshot()))))
        assert after.departed.tolist() == [1]
        assert after.device_of_topic == {"fleet/v1/north/a/telemetry": 0}
        assert [after.is_live(device) for device in (0, 1)] == [True, False]
        assert after.silent(0, 10**12).tolist() == [1]
        assert after.version == before.version + 1
        after.retire(np.array([1]))
        assert (after.departed.tolist(), after.alive) == ([], 1)


class TestReclaiming:
    def test_unused_series_metrics_and_texts_are_freed_and_tags_renumbered(self) -> None:
        registry = Registry(RegistryLimits(unused_for=1_000))
        registry.device("n", "a")
        registry.device("n", "b")
        assert series_of(registry, 0, "t") == [0]
        assert series_of(registry, 0, "open") == [1]
        text = registry.strings.code("on", 0)
        old, other = version_of(registry, 0, 0), version_of(registry, 1, 0)
        gone = registry.reclaim(1_001, np.array([False, True]), set())
        assert [column.tolist() for column in gone] == [[0], [0], [text]]
        assert version_of(registry, 0, 0) != old
        assert version_of(registry, 1, 0) == other

    def test_it_is_searched_once_a_minute_and_only_where_something_may_be_found(self) -> None:
        registry = Registry(RegistryLimits(unused_for=1_000))
        registry.device("n", "a")
        assert not registry.worth_reclaiming(RECLAIM_EVERY)
        series_of(registry, 0, "t")
        assert not registry.worth_reclaiming(RECLAIM_EVERY - 1)
        assert registry.worth_reclaiming(RECLAIM_EVERY)
        registry.reclaim(RECLAIM_EVERY, np.array([True]), set())
        assert not registry.worth_reclaiming(2 * RECLAIM_EVERY - 1)
        assert registry.worth_reclaiming(2 * RECLAIM_EVERY)


class TestTagVersions:
    def test_a_change_labels_windows_from_its_start_on(self, registry: Registry) -> None:
        registry.device("n", "a")
        before = version_of(registry, 0, 0)
        registry.birth(0, birth(), 60_000)
        after = version_of(registry, 0, 60_000)
        assert version_of(registry, 0, 59_999) == before
        assert registry.tags_of(before) == ("n", "a", "unknown", {})
        assert registry.tags_of(after) == ("n", "a", "pump", {})
        starts = np.array([0, 59_999, 60_000, 120_000])
        assert registry.tag_versions(np.zeros(4, np.int64), starts).tolist() == [before, before, after, after]

    def test_versions_that_labelled_no_window_give_way(self, registry: Registry) -> None:
        registry.device("n", "a")
        registry.birth(0, birth("one"), 60_000)
        registry.birth(0, birth("two"), 60_000)
        assert registry.tags_of(version_of(registry, 0, 60_000)).type == "two"
        assert registry.tags_of(version_of(registry, 0, 0)).type == "unknown"

    def test_only_so_many_changes_are_kept(self, registry: Registry) -> None:
        registry.device("n", "a")
        for number in range(CHANGES_KEPT + 10):
            registry.set_clock(number * CHANGE_EVERY)
            registry.birth(0, birth(f"type-{number}"), number * 1_000)
        oldest = registry.tags_of(version_of(registry, 0, 0)).type
        assert oldest == "type-10"
        assert registry.tags_of(version_of(registry, 0, 10**9)).type == f"type-{CHANGES_KEPT + 9}"

    def test_tags_that_are_not_forwarded_label_nothing(self) -> None:
        registry = Registry(forwarded=("line",))
        registry.device("n", "a")
        registry.birth(0, birth(tags={"line": "L1", "note": "one"}), 60_000)
        before, seen = version_of(registry, 0, 60_000), registry.version
        assert registry.birth(0, birth(tags={"line": "L1", "note": "two"}), 120_000)
        assert version_of(registry, 0, 120_000) == before
        assert registry.tags_of(before).tags == {"line": "L1"}
        assert registry.tags(0)["note"] == "two", "rules see it"
        assert registry.changed_devices(seen).tolist() == [0]

    def test_labels_that_change_all_the_time_change_no_more_than_once_an_hour(self) -> None:
        registry = Registry()
        registry.device("n", "a")
        for number in range(1_000):
            registry.set_clock(number)
            registry.birth(0, birth(f"type-{number}"), number * 10_000)
        kept = {version_of(registry, 0, number * 10_000) for number in range(1_000)}
        assert len(kept) == CHANGES_KEPT
        assert registry.label_changes_refused == 1_000 - CHANGES_KEPT
        assert registry.type(0) == "type-999", "rules follow at once"
        registry.set_clock(CHANGE_EVERY + 1_000)
        registry.birth(0, birth("calm"), 10_000_000)
        assert registry.tags_of(version_of(registry, 0, 10_000_000)).type == "calm"

    def test_other_tags_are_forwarded_after_a_change_of_the_configuration(self) -> None:
        registry, again = Registry(), Registry(forwarded=("line",))
        registry.device("n", "a")
        registry.birth(0, birth(tags={"line": "L1"}), 60_000)
        again.restore(unpacked(packed(registry.snapshot())))
        assert again.tags_of(version_of(again, 0, 60_000)).tags == {"line": "L1"}
        assert again.tags_of(version_of(again, 0, 0)).tags == {}


class TestBirths:
    def test_a_birth_may_tell_so_much_and_what_is_needed_is_kept_all_the_same(self) -> None:
        registry = Registry(forwarded=("line",))
        registry.needed = Needed(frozenset({"line", "owner"}), frozenset({"flow"}))
        registry.device("n", "a")
        registry.device("n", "b")
        tags = {f"tag_{number}": "x" * 128 for number in range(30)} | {"line": "L1", "owner": "o"}
        metrics = {f"metric_{number}_{'x' * 50}": MetricInfo(unit="y" * 32) for number in range(255)}
        registry.birth(0, birth(tags=tags, metrics={**metrics, "flow": MetricInfo(unit="l/s")}), 0)
        kept = sum(len(name) + len(text) for name, text in registry.tags(0).items())
        assert 512 < kept <= MOST_TAGS + len("lineL1ownero")
        assert (registry.tags(0)["line"], registry.tags(0)["owner"]) == ("L1", "o")
        assert list(registry.tags(0))[:3] == ["tag_0", "tag_1", "tag_2"], "the first ones, in their order"
        assert registry.units(0)["flow"] == "l/s"
        assert 4_096 < sum(map(len, registry.units(0))) <= MOST_UNITS
        assert (registry.births.cut, registry.births.cuts) == ({0}, 1)
        registry.birth(0, birth(tags={"line": "L1"}), 0)
        assert registry.births.cut == set()

    def test_kinds_are_kept_of_as_many_metrics_as_there_is_room_for_and_a_unit_says_one_too(self) -> None:
        registry = Registry()
        registry.device("n", "a")
        metrics = {f"metric_{number}_{'x' * 50}": MetricInfo(kind="state") for number in range(255)}
        told = {
            "flow": MetricInfo(unit="l/s"),
            "level": MetricInfo(max=1.0),
            "door": MetricInfo(kind="state"),
        }
        registry.birth(0, birth(metrics={**told, **metrics}), 0)
        kinds = registry.births.facts[0].kinds
        assert 2_048 < sum(map(len, kinds)) <= MOST_KINDS
        assert registry.births.cut == {0}
        registry.birth(0, birth(metrics=told), 0)
        assert registry.births.facts[0].kinds == {"level": "number", "door": "state"}
        assert registry.births.cut == set()
        series = series_of(registry, 0, "flow", "level", "door", "else")
        assert registry.table.kind[series].tolist() == [KIND_NUMBER, KIND_NUMBER, KIND_STATE, KIND_OPEN]

    def test_what_births_tell_alike_is_held_once(self) -> None:
        registry = Registry()
        for number in range(200):
            device = registry.device("n", f"d{number}")
            assert isinstance(device, int)
            told = {"t": MetricInfo(unit="C", label="x" * 100)}
            registry.birth(device, birth(tags={"line": "L1"}, metrics=told), 0)
        assert len({id(registry.tags(number)) for number in range(200)}) == 1
        assert len({id(registry.units(number)) for number in range(200)}) == 1
        assert len(packed(registry.births.snapshot())) < 200 * 40


class TestSeries:
    def test_a_series_is_a_device_and_a_metric(self, registry: Registry) -> None:
        registry.device("n", "a")
        registry.device("n", "b")
        metric = registry.metric("t")
        assert registry.series(0, metric) == 0
        assert registry.series(1, metric) == 1
        assert registry.series(0, metric) == 0
        assert registry.series_device.tolist() == [0, 1]
        assert registry.series_metric.tolist() == [metric, metric]
        assert registry.table.kind.tolist() == [KIND_OPEN, KIND_OPEN]
        assert registry.series_is_state.tolist() == [False, False]

    def test_names_that_are_none_have_no_number(self, registry: Registry) -> None:
        with pytest.raises(ValueError, match="no metric name"):
            registry.metric("Temperature")

    def test_the_cap_stands_where_messages_come_in(self) -> None:
        registry = Registry(RegistryLimits(series=1))
        registry.device("n", "a")
        assert series_of(registry, 0, "a", "b") is None
        assert series_of(registry, 0, "a") == [0]
        assert registry.series(0, registry.metric("derived")) == 1

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(
            st.tuples(st.integers(0, 3), st.lists(st.sampled_from("abcd"), unique=True, max_size=4)),
            max_size=30,
        )
    )
    def test_the_slots_of_a_layout_are_its_series(self, messages: list[tuple[int, list[str]]]) -> None:
        registry = Registry()
        for name in ("w", "x", "y", "z"):
            registry.device("n", name)
        for device, names in messages:
            series = series_of(registry, device, *names)
            assert series == [registry.series(device, registry.metric(name)) for name in names]
            assert (registry.series_device[series] == device).all()


class TestStrings:
    def test_codes_are_stable_and_capped(self) -> None:
        strings = StringTable(1)
        assert [strings.code(text, 7) for text in ("true", "false", "on", "off", "on")] == [1, 0, 2, -1, 2]
        assert strings.text(2) == "on"
        assert strings.code("named by a rule") == 3

    def test_a_device_has_a_share_and_what_nobody_uses_makes_room(self) -> None:
        strings = StringTable(100, share=2)
        assert [strings.code(text, 7) for text in ("a", "b", "c")] == [2, 3, -1]
        assert [strings.code(text, 8) for text in ("a", "c")] == [2, 4]
        assert strings.crowded()
        again = StringTable(100, share=2)
        again.restore(unpacked(packed(strings.snapshot())))
        for one in (strings, again):
            assert one.keep({2, 4}).tolist() == [3]
            assert one.code("d", 7) == 5, "no code is given twice"
            one.disown(np.array([7]))
            assert (one.of_devices, one.held) == (1, {8: 1})
            assert [one.code("e", 7), one.text(5)] == [6, "d"]
            with pytest.raises(KeyError):
                one.text(3)
        assert packed(again.snapshot()) == packed(strings.snapshot())


def test_a_registry_comes_back_bit_for_bit() -> None:
    registry, again = Registry(forwarded=("zone",)), Registry(forwarded=("zone",))
    for name in ("a", "b", "c"):
        registry.device("n", name)
    told = {"t": MetricInfo(unit="C", min=-5.0), "door": MetricInfo(kind="state")}
    registry.birth(1, birth(tags={"zone": "z"}, metrics=told, lat=1.0, lon=2.0), 60_000)
    registry.presence.gone(2)
    series_of(registry, 0, "t", "u")
    registry.strings.code("on", 0)
    registry.presence.seen(np.array([0, 1]), 5)
    registry.device("elsewhere", "a")
    again.restore(unpacked(packed(registry.snapshot())))
    assert packed(again.snapshot()) == packed(registry.snapshot())
    assert again.device_of_topic == registry.device_of_topic
    assert again.units(1) == registry.units(1)
    for one in (registry, again):
        one.device("n", "d")
        one.birth(1, birth("valve"), 120_000)
        series_of(one, 3, "u", "v")
        series_of(one, 1, "door")
    assert packed(again.snapshot()) == packed(registry.snapshot())
    assert again.tags_of(version_of(again, 1, 60_000)).tags == {"zone": "z"}
