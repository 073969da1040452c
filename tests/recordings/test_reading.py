"""Recorded files become samples: every quirk of their form, and nothing invented."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from fleet_recordings.mapping import Mapping, load_mapping
from fleet_recordings.reading import (
    RecordedSample,
    Recording,
    RecordingUnreadable,
    number_of,
    read_recording,
    time_of,
)
from tests.recordings.written import write_ea, write_uci

SHARED = Path(__file__).parents[3] / "shared" / "data"


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_uci_rows_have_legal_names_decimal_points_and_the_missing_code_unchanged(tmp_path: Path) -> None:
    found = read_recording(write_uci(tmp_path / "air.csv"), load_mapping("uci"))
    assert len(found.samples) == 48
    assert (found.empty_rows, found.bad_rows, found.bad_values) == (5, 0, 0)
    first, fifth = found.samples[0], found.samples[4]
    assert first.device == "uci-air"
    assert first.ts == at("2004-03-10T00:00:00")
    assert len(first.m) == 13
    assert (first.m["co_gt"], first.m["t"], first.m["pt08_s1_co"]) == (2.0, 13.0, 1300.0)
    assert fifth.m["co_gt"] == -200.0
    assert found.units["uci-air"]["nox_gt"] == "ppb"


def test_a_byte_order_mark_is_not_part_of_the_first_column(tmp_path: Path) -> None:
    path = write_uci(tmp_path / "air.csv", 3)
    plain = read_recording(path, load_mapping("uci"))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_recording(path, load_mapping("uci")) == plain


def test_ea_values_of_one_time_are_one_sample_in_time_order(tmp_path: Path) -> None:
    found = read_recording(write_ea(tmp_path / "water.csv"), load_mapping("ea"))
    assert [sample.ts for sample in found.samples] == sorted(sample.ts for sample in found.samples)
    assert set(found.units) == {"NE-49100030", "NE-49100031", "NE-49100032"}
    assert found.tags["NE-49100031"] == {"easting": "402501", "northing": "488900"}
    same = [
        each
        for each in found.samples
        if each.device == "NE-49100030" and each.ts == at("2021-01-10T08:30:00")
    ]
    assert len(same) == 2, "a determinand that comes twice begins another sample"
    assert set(same[0].m) == {"ammonia_n", "temp_water", "ph", "sld_sus_105c"}
    assert same[1].m == {"ph": 8.25}
    assert len(found.samples) == 31


def test_a_censored_value_is_its_limit_with_half_the_quality(tmp_path: Path) -> None:
    found = read_recording(write_ea(tmp_path / "water.csv"), load_mapping("ea"))
    censored = [sample for sample in found.samples if sample.q]
    assert found.censored == len(censored) == 12
    assert all(sample.q == {"ammonia_n": 0.5} for sample in censored)
    assert min(sample.m["ammonia_n"] for sample in censored) == 0.03


@pytest.mark.parametrize(
    ("text", "qualifier", "decimal", "expected"),
    [
        ("1,5", "", ",", (1.5, False)),
        ("1.234,5", "", ",", (1234.5, False)),
        ("<0.03", "", ".", (0.03, True)),
        ("> 20", "", ".", (20.0, True)),
        ("0.03", "<", ".", (0.03, True)),
        ("", "", ".", (None, False)),
        ("n/a", "", ".", (None, False)),
        ("1.234.567", "", ",", (1234567.0, False)),
        ("9.5", "", ",", (None, False)),
        ("1,5.000", "", ",", (None, False)),
        ("1,234.5", "", ".", (None, False)),
        ("-2e-3", "", ".", (-0.002, False)),
        ("nan", "", ".", (None, False)),
        ("1_000", "", ".", (None, False)),
    ],
)
def test_numbers_as_people_write_them(
    text: str, qualifier: str, decimal: str, expected: tuple[float | None, bool]
) -> None:
    mapping = Mapping.model_validate(
        {
            "version": 1, "decimal": decimal, "device": {"id": "x", "type": "x"}, "time": {"columns": ["t"]},
            "metrics": {"m": "m"},
        }
    )  # fmt: skip
    assert number_of(text, qualifier, mapping) == expected


def test_local_times_become_utc() -> None:
    ea = load_mapping("ea")
    assert time_of("2021-07-01T12:00:00", ea) == at("2021-07-01T11:00:00")
    assert time_of("2021-01-01T12:00:00", ea) == at("2021-01-01T12:00:00")
    assert time_of("2021-01-01T12:00:00+05:00", ea) == at("2021-01-01T07:00:00")


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2021-03-28T00:59:59", "2021-03-28T00:59:59"),
        ("2021-03-28T01:30:00", "2021-03-28T01:30:00"),
        ("2021-03-28T02:00:00", "2021-03-28T01:00:00"),
        ("2021-10-31T01:30:00", "2021-10-31T00:30:00"),
        ("2021-10-31T02:00:00", "2021-10-31T02:00:00"),
    ],
)
def test_a_time_that_a_clock_change_skips_or_repeats_is_read_as_before_the_change(
    local: str, utc: str
) -> None:
    assert time_of(local, load_mapping("ea")) == at(utc)


def test_bad_rows_are_counted_and_left_out(tmp_path: Path) -> None:
    path = write_uci(tmp_path / "air.csv", 3, junk=0)
    lines = path.read_text().splitlines()
    lines[1] = lines[1].replace("10/03/2004", "31/02/2004")
    lines[2] = lines[2].replace(";150;", ";lots;")
    path.write_text("\n".join(lines))
    found = read_recording(path, load_mapping("uci"))
    assert (len(found.samples), found.bad_rows, found.bad_values) == (2, 1, 1)
    assert "nmhc_gt" not in found.samples[0].m


def test_a_file_that_does_not_fit_the_mapping_is_refused_with_its_columns(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(RecordingUnreadable, match=r"no column .*Date.*it has a,b"):
        read_recording(tmp_path / "x.csv", load_mapping("uci"))
    with pytest.raises(RecordingUnreadable, match="cannot read"):
        read_recording(tmp_path / "none.csv", load_mapping("uci"))
    write_uci(tmp_path / "empty.csv", 0)
    with pytest.raises(RecordingUnreadable, match="none of its 5 rows is a sample"):
        read_recording(tmp_path / "empty.csv", load_mapping("uci"))


LONG = {
    "version": 1,
    "device": {"column": "d", "type": "x", "tags": {"zone": "z"}},
    "time": {"columns": ["t"]},
    "long": {"name": "n", "value": "v"},
}
WIDE = {
    "version": 1,
    "device": {"id": "x", "type": "x"},
    "time": {"columns": ["t"]},
    "metrics": {"m": "m"},
}


def recorded(path: Path, mapping: dict[str, object], *lines: str) -> Recording:
    path.write_text("\n".join(lines))
    return read_recording(path, Mapping.model_validate(mapping))


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("2021-01-01,a,(%),1,Z", "line 3: '(%)' has no letter or digit to make a metric name of"),
        ("2021-01-01", "line 3: '' is not a device id; use 1 to 64 of A-Z a-z 0-9 _ -"),
        ("2021-01-01,,x,1,Z", "line 3: '' is not a device id; use 1 to 64 of A-Z a-z 0-9 _ -"),
        ("2021-01-01,a b/c,x,1,Z", "line 3: 'a b/c' is not a device id; use 1 to 64 of A-Z a-z 0-9 _ -"),
        ("soon,a,x,1,Z", "line 3: Invalid isoformat string: 'soon'"),
    ],
)
def test_a_row_without_a_usable_time_device_or_label_is_counted_and_left_out(
    row: str, why: str, tmp_path: Path
) -> None:
    found = recorded(tmp_path / "x.csv", LONG, "t,d,n,v,z", "2021-01-01,a,x,1", row, "later,b,x,1,Z")
    assert (found.rows, found.bad_rows, found.first_bad) == (3, 2, why)
    assert found.samples == [RecordedSample(at("2021-01-01T00:00:00"), "a", {"x": 1.0}, None)]
    assert found.tags == {"a": {"zone": ""}}


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (["2021-01-01,1e999", "2021-01-02,n/a"], "none of its 2 rows is a sample; no value is a number"),
        (["01.02.2021,1"], "none of its 1 rows is a sample; line 2: Invalid isoformat string: '01.02.2021'"),
    ],
)
def test_a_file_without_a_sample_is_refused_with_the_reason(
    rows: list[str], why: str, tmp_path: Path
) -> None:
    with pytest.raises(RecordingUnreadable) as refused:
        recorded(tmp_path / "x.csv", WIDE, "t,m", *rows)
    assert why in str(refused.value)


def test_a_file_with_more_metrics_than_a_run_holds_is_refused(tmp_path: Path) -> None:
    rows = [f"2021-01-01,a,x{number},1,Z" for number in range(64)]
    assert len(recorded(tmp_path / "most.csv", LONG, "t,d,n,v,z", *rows).units["a"]) == 64
    with pytest.raises(RecordingUnreadable, match="64 different metrics, and a run holds at most 63"):
        read_recording(tmp_path / "most.csv", Mapping.model_validate(LONG), most_metrics=63)


def test_bytes_of_another_encoding_are_refused_with_what_to_check(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"t,m\n2021-01-01,1\xb0\n")
    with pytest.raises(RecordingUnreadable, match="check the mapping's encoding and separator"):
        read_recording(tmp_path / "x.csv", Mapping.model_validate(WIDE))
    latin = Mapping.model_validate({**WIDE, "encoding": "latin-1"})
    (tmp_path / "y.csv").write_bytes(b"t,m,\xb0\n2021-01-01,1,\n")
    assert len(read_recording(tmp_path / "y.csv", latin).samples) == 1


@pytest.mark.recording
@pytest.mark.skipif(not SHARED.is_dir(), reason="the recordings are not beside the checkout")
@pytest.mark.parametrize(
    ("mapping", "path", "samples", "empty", "devices", "censored"),
    [
        ("uci", "uci_air_quality/AirQualityUCI.csv", 9357, 114, 1, 0),
        ("ea", "ea_water_quality/ea_yorkshire_rivers_12sites_2018_2022.csv", 2118, 0, 12, 2952),
        ("nab", "nab/machine_temperature_system_failure.csv", 22_695, 0, 1, 0),
    ],
)
def test_the_real_recordings_are_read_completely(
    mapping: str, path: str, *, samples: int, empty: int, devices: int, censored: int
) -> None:
    found = read_recording(SHARED / path, load_mapping(mapping))
    assert (len(found.samples), found.empty_rows, len(found.units)) == (samples, empty, devices)
    assert (found.bad_rows, found.bad_values, found.censored) == (0, 0, censored)
