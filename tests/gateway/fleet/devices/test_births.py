"""What is kept of a birth: always what is needed, the rest while it fits."""

import pytest

from edge_gateway.fleet.devices import births as module
from edge_gateway.fleet.devices.births import BirthFacts, Births, Needed
from fleet_wire.control_messages import Birth, MetricInfo
from tests.gateway.fleet.states import packed, unpacked


def birth(**others: object) -> Birth:
    return Birth(type="pump", boot=1, **others)  # type: ignore[arg-type]


def test_a_birth_s_facts_are_kept() -> None:
    births = Births()
    metrics = {"t": MetricInfo(unit="C"), "door": MetricInfo(kind="state"), "n": MetricInfo(min=0.0)}
    given = birth(tags={"line": "L1"}, metrics=metrics, lat=1.0, lon=2.0)
    facts = births.take(7, given, Needed())
    assert facts == BirthFacts(
        "pump", {"line": "L1"}, {"t": "C"}, {"door": "state", "n": "number"}, (1.0, 2.0)
    )
    assert births.facts == {7: facts}
    assert (births.cut, births.cuts) == (set(), 0)


@pytest.mark.parametrize("given", [{"lat": 1.0}, {"lon": 2.0}, {}])
def test_a_position_needs_both_coordinates(given: dict[str, float]) -> None:
    assert Births().take(0, birth(**given), Needed()).position is None


@pytest.mark.parametrize(
    ("info", "kind"),
    [
        (MetricInfo(), None),
        (MetricInfo(kind="number"), "number"),
        (MetricInfo(kind="state", unit="C"), "state"),
        (MetricInfo(kind="number", unit="C"), None),
        (MetricInfo(unit="C", min=0.0), None),
        (MetricInfo(max=1.0), "number"),
        (MetricInfo(warning=1.0), "number"),
        (MetricInfo(critical=1.0), "number"),
    ],
)
def test_a_kind_is_kept_where_no_unit_implies_it(info: MetricInfo, kind: str | None) -> None:
    assert Births().take(0, birth(metrics={"m": info}), Needed()).kinds.get("m") == kind


def test_tags_that_fit_are_kept_in_order_and_needed_ones_whatever_their_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_TAGS", 6)
    births = Births()
    tags = {"a": "12", "needed": "x" * 100, "b": "34", "c": ""}
    assert births.take(0, birth(tags=tags), Needed(frozenset({"needed"}))).tags == {
        "a": "12",
        "needed": "x" * 100,
        "b": "34",
    }
    assert (births.cut, births.cuts) == ({0}, 1)


@pytest.mark.parametrize(
    ("bound", "metrics"),
    [
        ("MOST_UNITS", {"t": MetricInfo(unit="C"), "u": MetricInfo(unit="C")}),
        ("MOST_KINDS", {"t": MetricInfo(kind="state"), "u": MetricInfo(kind="state")}),
    ],
)
def test_units_and_kinds_have_bounds_of_their_own(
    bound: str, metrics: dict[str, MetricInfo], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, bound, 0)
    births = Births()
    facts = births.take(0, birth(metrics=metrics), Needed(units=frozenset({"u"})))
    assert list(facts.units or facts.kinds) == ["u"]
    assert births.cut == {0}


def test_a_device_is_cut_until_a_birth_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TAGS", 2)
    births = Births()
    for tags in ({"long": "tag"}, {"long": "tag"}, {"a": "1"}):
        births.take(0, birth(tags=tags), Needed())
    assert (births.cut, births.cuts) == (set(), 2)


def test_equal_tags_are_held_once_and_no_others_pile_up() -> None:
    births = Births()
    one, other = (births.take(device, birth(tags={"line": "L1"}), Needed()) for device in (0, 1))
    assert one.tags is other.tags
    for number in range(1_000):
        births.take(0, birth(tags={"line": str(number)}), Needed())
    assert len(births._shared) < 100
    assert births.take(0, birth(tags={"line": "L1"}), Needed()).tags is births.facts[1].tags


def test_a_retired_device_keeps_type_and_tags_until_its_number_is_reused() -> None:
    births = Births()
    births.take(
        0, birth(tags={"line": "L1"}, metrics={"t": MetricInfo(unit="C")}, lat=1.0, lon=2.0), Needed()
    )
    births.cut.add(0)
    births.retire(0)
    births.retire(1)
    assert births.facts == {0: BirthFacts("pump", {"line": "L1"}, {}, {}, None)}
    assert births.cut == set()
    births.cut.add(0)
    births.forget(0)
    assert (births.facts, births.cut) == ({}, set())


def test_births_come_back_from_a_checkpoint() -> None:
    births, again = Births(), Births()
    births.take(3, birth(tags={"line": "L1"}, lat=1.0, lon=2.0), Needed())
    births.take(4, birth(metrics={"t": MetricInfo(unit="C")}), Needed())
    births.cut, births.cuts = {4}, 9
    again.restore(unpacked(packed(births.snapshot())))
    assert again.facts == births.facts
    assert packed(again.snapshot()) == packed(births.snapshot())
