"""Tables of silences, within 80 columns on a terminal."""

from edge_gateway.cli.muting_tables import silence_view, silences_table
from tests.gateway.cli.test_tables import looked_at

ONE = {
    "id": 3,
    "match": "site=berlin,lyon type=freezer",
    "commands": True,
    "until": 1_790_000_000_000,
    "since": 1_789_990_000_000,
    "by": "anna",
    "why": "the cooling of hall 3 is serviced until Monday, and all its freezers will be warm",
    "muted": 12_000,
    "warning": "",
}


def test_a_silence_is_a_row() -> None:
    lines = looked_at(silences_table([ONE, {**ONE, "id": 4, "commands": False, "muted": 0}]))
    assert "2026-09-21 14:13:20Z" in lines[1]
    assert "12,000" in lines[1]
    assert lines[1].split()[4:6] == ["muted", "anna"]
    assert looked_at(silences_table([])) == ["nothing is silenced"]


def test_what_was_silenced_is_told_with_the_way_back() -> None:
    lines = looked_at(silence_view(ONE))
    assert lines[0].startswith(
        "silence 3: no notices and commands of site=berlin,lyon type=freezer until 2026-"
    )
    assert lines[0].endswith("; 12,000 alerts of it fire now")
    assert "1 alert of it fires now" in looked_at(silence_view({**ONE, "muted": 1}))[0]
    assert lines[1] == "to end it: edge-gateway silence end 3"
    assert (
        looked_at(silence_view({**ONE, "warning": "no site 'x'"}))[2] == "it matches nothing now: no site 'x'"
    )
