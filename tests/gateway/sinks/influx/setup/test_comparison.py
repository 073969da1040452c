"""What differs from the templates, value by value."""

from __future__ import annotations

from edge_gateway.sinks.influx.setup.comparison import Deviation, compared
from edge_gateway.sinks.influx.setup.facts import Facts
from edge_gateway.sinks.influx.setup.plan import Present, Survey

BUCKET = ("Bucket", "telemetry")
BOARD = ("Dashboard", "fleet")


def test_equal_states_have_no_difference() -> None:
    facts = Facts("telemetry", {"": {"name": "telemetry"}}, 60)
    assert list(compared(Survey("1", {BUCKET: facts}, {BUCKET: Present(facts, ours=True)}))) == []


def test_retention_and_the_lines_of_a_query_are_shown_with_both_values() -> None:
    wanted = {
        BUCKET: Facts("telemetry", {"": {}}, 60),
        BOARD: Facts("Fleet", {"cell 'a'": {"queries": [{"text": "from()\n  |> last()"}], "x": 0}}),
    }
    found = {
        BUCKET: Present(Facts("telemetry", {"": {}}, 0), ours=True),
        BOARD: Present(
            Facts("Fleet", {"cell 'a'": {"queries": [{"text": "from()\n  |> max()"}], "x": 0}}), ours=True
        ),
    }
    first, second = compared(Survey("1", wanted, found))
    assert first == Deviation("Bucket", "telemetry", "", "retention", "0", "60")
    assert (second.part, second.property) == ("cell 'a'", "queries")
    assert second.found is not None
    assert second.found.splitlines()[2:4] == ['    "text": "from()', '  |> max()"']


def test_what_is_on_one_side_alone_has_no_value_on_the_other() -> None:
    facts = Facts("Old", {"": {"name": "Old"}})
    (missing,) = compared(Survey("1", {BOARD: facts}, {}))
    (surplus,) = compared(Survey("1", {}, {BOARD: Present(facts, ours=True)}))
    assert (missing.found, missing.wanted) == (None, "Old")
    assert (surplus.found, surplus.wanted) == ("Old", None)
