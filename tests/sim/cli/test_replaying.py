"""`fleet-sim replay`: its speeds, and what it says of a file."""

import pytest
import typer

from fleet_recordings.reading import RecordedSample, Recording
from fleet_sim.cli.replaying import describe, speed_of


def test_a_speed_is_a_number_above_0_or_max() -> None:
    assert (speed_of("max"), speed_of("60")) == (None, 60.0)
    for bad in ("fast", "0", "-1", "inf", "nan"):
        with pytest.raises(typer.BadParameter, match="neither max nor a number above 0"):
            speed_of(bad)


def test_what_was_read_is_said_in_one_line_with_what_was_left_out() -> None:
    recording = Recording([RecordedSample(1, "a", {"x": 1.0}, None)], {"a": {"x": None}})
    assert describe(recording) == "1 sample of 1 device"
    recording.bad_values, recording.bad_rows = 2, 1
    assert (
        describe(recording)
        == "1 sample of 1 device, 1 row without a usable time, device or label, 2 values not numeric"
    )
