"""The inventory is read whole, or all its errors are told, each at its line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_gateway.rules.files import inventory
from edge_gateway.rules.files.inventory import cells_of, read_inventory
from edge_gateway.rules.language.inventory import ExpectedDevice
from edge_gateway.rules.language.ruleset import RuleSet
from fleet_config.problems import ProblemsFound


def problems(path: Path, text: str) -> list[str]:
    path.write_text(text)
    with pytest.raises(ProblemsFound) as found:
        read_inventory(path)
    return [str(problem).partition("devices.csv:")[2] for problem in found.value.problems]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "devices.csv"


def test_a_row_is_a_device_with_its_type_tags_and_metrics(file: Path) -> None:
    file.write_bytes(
        b"id,site,type,metrics,room,line\r\n"
        b'f1,berlin,freezer,temperature  door,"cellar, left",\r\n'
        b"\r\n"
        b'f2 ,"lyon",,,,L1\r\n'
    )
    expected = (
        ExpectedDevice("f1", "berlin", "freezer", {"room": "cellar, left"}, ("temperature", "door")),
        ExpectedDevice("f2", "lyon", "unknown", {"line": "L1"}, ()),
    )
    assert read_inventory(file) == expected
    rules = RuleSet(inventory=expected)
    assert RuleSet.from_plain(rules.to_plain()) == rules
    assert rules.to_brief()["inventory"] == []
    assert rules.hash != RuleSet().hash


def test_only_id_and_site_are_required(file: Path) -> None:
    file.write_text("\ufeffsite,id\nberlin,f1\n", encoding="utf-8")
    assert read_inventory(file) == (ExpectedDevice("f1", "berlin"),)


def test_all_errors_are_told_where_they_are(file: Path) -> None:
    text = """\
id,site,type,metrics,room
f1,berlin,freezer,temperature,a
f 2,ber/lin,freezer,temperature 9lives,a
f1,berlin,freezer,temperature,a
f3,berlin
f4,berlin,"freezer,temperature,a
"""
    assert problems(file, text) == [
        "3:1: 'f 2' is no id: 1 to 64 of A-Z a-z 0-9 _ -",
        "3:5: 'ber/lin' is no site: 1 to 64 of A-Z a-z 0-9 _ -",
        "3:21: '9lives' is no metric name",
        "4:1: 'f1' is in line 2 already; a name is one device",
        "5:4: 2 fields; the first line has 5",
        "6:11: a quote is never closed on this line",
    ]


def test_the_first_line_names_the_columns(file: Path) -> None:
    assert problems(file, "ids,site,device,site,Room 1\n") == [
        "1:1: the column 'id' is missing; did you mean 'ids'?",
        "1:10: a column 'device' is no tag; the device's name is 'id'",
        "1:17: the column 'site' is named twice",
        "1:22: 'Room 1' is no column: write lower-case letters, digits, _",
    ]
    assert problems(file, "\n") == ["1:1: the first line must name the columns, such as id,site,type,metrics"]


def test_a_file_that_cannot_be_read_is_named(file: Path) -> None:
    with pytest.raises(ProblemsFound, match=r"devices\.csv: no such file"):
        read_inventory(file)
    file.write_bytes(b"id,site\n\xff,x\n")
    with pytest.raises(ProblemsFound, match=r"devices\.csv: not UTF-8 at byte 8"):
        read_inventory(file)


def test_there_is_a_bound(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "MOST_DEVICES", 1)
    assert problems(file, "id,site\na,s\nb,s\n") == ["3:1: more than 1 devices"]


def test_fields_may_be_quoted() -> None:
    assert [tuple(cell) for cell in cells_of('a,"b ""c"", d",,e')] == [
        ("a", 1),
        ('b "c", d', 3),
        ("", 16),
        ("e", 17),
    ]
