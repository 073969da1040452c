"""Recordings written as plain CSV files."""

from dataclasses import replace
from pathlib import Path

from fleet_recordings.mapping import load_mapping, mapping_for
from fleet_recordings.reading import Recording, read_recording
from fleet_recordings.writing import write_plain
from tests.recordings.written import write_ea, write_uci


def again(recording: Recording, path: Path) -> Recording:
    write_plain(path, recording)
    return read_recording(path, mapping_for(path, None))


def test_what_is_written_reads_as_the_same_recording(tmp_path: Path) -> None:
    for name, file in (("uci", write_uci(tmp_path / "u.csv")), ("ea", write_ea(tmp_path / "e.csv"))):
        recording = read_recording(file, load_mapping(name))
        copy = again(recording, tmp_path / "out.csv")
        assert copy.samples == recording.samples
        assert copy.units == recording.units
        assert (copy.sites, copy.types, copy.tags) == (recording.sites, recording.types, recording.tags)


def test_tags_of_one_device_are_not_those_of_another(tmp_path: Path) -> None:
    recording = read_recording(write_ea(tmp_path / "e.csv", points=2), load_mapping("ea"))
    first, second = recording.tags
    tagged = replace(recording, tags={first: {"easting": "1"}, second: {"weir": "north"}})
    assert again(tagged, tmp_path / "out.csv").tags == {first: {"easting": "1"}, second: {"weir": "north"}}
