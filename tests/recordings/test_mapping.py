"""Files that say what the columns of a recording are."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_config.problems import ProblemsFound
from fleet_recordings.mapping import legal_name, load_mapping, ready_mappings
from fleet_wire.telemetry import is_metric_name


def test_a_mapping_file_is_checked_with_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(
        "version: 1\ndevice: {id: a, type: b}\ntime: {columns: [t], zone: Mars}\nmetrics: {x: X}\nsep: ';'\n"
    )
    with pytest.raises(ProblemsFound) as found:
        load_mapping(str(path))
    text = str(found.value)
    assert "own.yaml:3:" in text
    assert "not a time zone" in text
    assert "own.yaml:5:1" in text


@settings(deadline=None)
@given(st.text(min_size=1, max_size=80))
def test_any_label_becomes_a_legal_metric_name_or_is_refused(label: str) -> None:
    try:
        name = legal_name(label)
    except ValueError:
        assert not any(character.isascii() and character.isalnum() for character in label.lower())
    else:
        assert is_metric_name(name)


def test_labels_of_the_public_recordings_become_names() -> None:
    labels = ("CO(GT)", "PT08.S1(CO)", "Sld Sus@105C", "O Diss %sat", "2-Nitro")
    assert [legal_name(each) for each in labels] == [
        "co_gt",
        "pt08_s1_co",
        "sld_sus_105c",
        "o_diss_sat",
        "m_2_nitro",
    ]


def test_every_ready_mapping_loads() -> None:
    assert {"uci", "ea", "nab"} <= set(ready_mappings())
    assert all(load_mapping(name).description for name in ready_mappings())


@pytest.mark.parametrize(
    ("part", "why"),
    [
        ("device: {type: b}", "give either id (one device) or column"),
        ("device: {id: a, column: c, type: b}", "give either id (one device) or column"),
        ("device: {id: a b, type: b}", "id"),
        ("device: {id: a, type: b, site: x/y}", "site"),
        ("encoding: ebcdic", "'ebcdic' is not a text encoding; write one like utf-8 or latin-1"),
        ("metrics: {}", "give either metrics (a column for each) or long"),
        ("long: {name: n, value: v}", "give either metrics (a column for each) or long"),
    ],
)
def test_a_mapping_that_contradicts_itself_is_refused(part: str, why: str, tmp_path: Path) -> None:
    lines = {
        "version": "version: 1",
        "device": "device: {id: a, type: b}",
        "time": "time: {columns: [t]}",
        "metrics": "metrics: {x: X}",
    }
    path = tmp_path / "own.yaml"
    path.write_text("\n".join((lines | {part.split(":", maxsplit=1)[0]: part}).values()))
    with pytest.raises(ProblemsFound) as found:
        load_mapping(str(path))
    assert why in str(found.value)
