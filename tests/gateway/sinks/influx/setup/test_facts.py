"""Resources as comparable properties: what the server assigns is no difference, what a user sets is."""

from typing import Any

import pytest

from edge_gateway.sinks.influx.setup.facts import Facts, differences, digest, found_facts, wanted_facts

NAMED = {"name": "one", "description": "of ours"}


@pytest.mark.parametrize(
    ("rules", "keeps", "shards"),
    [
        ([{"everySeconds": 3_600, "shardGroupDurationSeconds": 600}], 3_600, 600),
        ([{"everySeconds": 3_600}], 3_600, 0),
        ([], 0, 0),
        (None, 0, 0),
    ],
)
def test_a_found_bucket_has_its_retention_and_shards(rules: Any, keeps: int, shards: int) -> None:
    found = found_facts("Bucket", NAMED | {"id": "0a", "retentionRules": rules})
    assert found == Facts("one", {"": NAMED}, keeps, shards)


def test_a_wanted_bucket_has_its_retention_in_seconds() -> None:
    assert wanted_facts("Bucket", NAMED | {"retentionPeriod": 3_600 * 10**9}, {}).keeps == 3_600


def test_a_label_has_its_properties_and_no_retention() -> None:
    item = NAMED | {"properties": {"color": "#fff"}}
    assert (
        found_facts("Label", item)
        == wanted_facts("Label", item, {})
        == Facts("one", {"": {**NAMED, "color": "#fff"}})
    )


def test_a_variable_is_the_same_as_wanted_and_as_found() -> None:
    arguments = {"type": "map", "values": {"1m": "telemetry"}}
    wanted = wanted_facts("Variable", NAMED | {"arguments": arguments}, {"spec": {"selected": ["1m"]}})
    found = found_facts("Variable", NAMED | {"arguments": arguments, "selected": ["1m"], "id": "0a"})
    assert wanted == found
    assert found_facts("Variable", NAMED | {"arguments": arguments}).parts[""]["selected"] == []


def test_what_the_server_assigns_to_a_check_is_no_property() -> None:
    check = {"name": "lag", "every": "1m"}
    stored = check | {
        "status": "active",
        "id": "0a",
        "orgID": "0b",
        "updatedAt": "now",
        "lastRunStatus": "failed",
    }
    assert found_facts("Check", stored) == wanted_facts(
        "Check", {"name": "lag", "check": check, "status": "active"}, {}
    )


def cell(name: str, x: int, y: int, **properties: Any) -> dict[str, Any]:
    return {"name": name, "x": x, "y": y, "w": 4, "h": 3, "properties": properties}


def test_a_dashboard_has_a_part_for_each_cell_and_numbers_repeated_names_by_place() -> None:
    cells = [cell("lag", 4, 0, unit="ms"), cell("lag", 0, 0, unit="s"), cell("up", 0, 3)]
    parts = found_facts("Dashboard", NAMED | {"cells": cells}).parts
    assert list(parts) == ["", "cell 'lag'", "cell 'lag' #2", "cell 'up'"]
    assert (parts["cell 'lag'"]["unit"], parts["cell 'lag' #2"]["unit"]) == ("s", "ms")
    assert list(found_facts("Dashboard", NAMED | {"cells": None}).parts) == [""]


def test_a_wanted_dashboard_is_the_one_that_is_found_after_it_was_applied() -> None:
    place = {"xPos": 4, "yPos": 3}
    document = {"spec": {"charts": [{"name": "lag", **place, "width": 4, "height": 3}]}}
    item = NAMED | {"charts": [{**place, "properties": {"unit": "ms"}}]}
    assert wanted_facts("Dashboard", item, document) == found_facts(
        "Dashboard", NAMED | {"cells": [cell("lag", 4, 3, unit="ms")]}
    )


def test_ids_of_colours_are_no_property() -> None:
    one, other = (
        found_facts("Dashboard", NAMED | {"cells": [cell("lag", 0, 0, colors=[{"id": n, "hex": "#fff"}])]})
        for n in "ab"
    )
    assert one.digests() == other.digests()


@pytest.mark.parametrize(
    ("wanted", "found", "names"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1, "b": 2}, {"b": 3, "c": 4}, ["a", "b", "c"]),
        (
            {"axes": {"x": 1, "y": {"base": 10}}},
            {"axes": {"x": 2, "y": {"base": 2}}},
            ["axes.x", "axes.y.base"],
        ),
        ({"axes": {"x": 1}}, {"axes": None}, ["axes"]),
    ],
)
def test_differences_are_named_by_their_path(wanted: Any, found: Any, names: list[str]) -> None:
    assert differences(wanted, found) == names


def test_a_digest_depends_on_the_values_and_not_on_their_order() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})
    assert digest({"a": "\ud800"}), "half a surrogate pair, as JSON may carry it"
