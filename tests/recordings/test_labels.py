"""Files of labels: what is written is read again, and each mistake is told with its line."""

from pathlib import Path

import pytest

from fleet_config.problems import ProblemsFound
from fleet_recordings.labels import Label, iso, read_labels, write_labels

LABELS = [
    Label(1_000, "a", "t", "bias", 61_000, 2.5),
    Label(2_500, "b", "t", "stuck", 3_000, None, "TooWarm"),
]


def problems_of(tmp_path: Path, *lines: str) -> list[str]:
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(ProblemsFound) as found:
        read_labels(tmp_path / "labels.csv")
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in found.value.problems]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_labels(tmp_path / "x.csv", reversed(LABELS))
    assert read_labels(tmp_path / "x.csv") == LABELS


def test_only_device_and_times_are_needed(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("device,start,end\na,1970-01-01 00:00:01,1970-01-01T01:00:02+01:00\n")
    assert read_labels(tmp_path / "x.csv") == [Label(1_000, "a", "", "", 2_000)]


def test_a_label_without_a_time_and_other_mistakes(tmp_path: Path) -> None:
    assert problems_of(
        tmp_path,
        "device,start,end,size",
        "a,,2026-01-01,",
        "a,noon,2026-01-01,",
        "a,2026-01-02,2026-01-01,",
        ",2026-01-01,2026-01-02,",
        "a,2026-01-01,2026-01-02,big",
    ) == [
        "labels.csv:2:1: a label without a time: 'start' is empty; write one like 2014-01-02T03:04:05Z",
        "labels.csv:3:1: start: 'noon' is not a time; write one like 2014-01-02T03:04:05Z",
        "labels.csv:4:1: the label ends at 2026-01-01, not after its start 2026-01-02",
        "labels.csv:5:1: a label without a device",
        "labels.csv:6:1: size: 'big' is not a number",
    ]


def test_a_missing_column_or_file(tmp_path: Path) -> None:
    assert problems_of(tmp_path, "device,begin,end") == [
        "labels.csv:1:1: no column 'start'; labels need device, start, end"
    ]
    with pytest.raises(ProblemsFound, match="cannot be read"):
        read_labels(tmp_path / "gone.csv")


def test_times_as_text() -> None:
    assert iso(1_388_631_845_000) == "2014-01-02T03:04:05Z"
    assert iso(1_388_631_845_678) == "2014-01-02T03:04:05.678Z"
