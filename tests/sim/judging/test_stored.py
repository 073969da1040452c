"""A history that cannot be read is an error with its reason."""

from pathlib import Path

import pytest

from fleet_sim.judging.stored import StoredUnreadable, history_from_command, history_from_file, window_rows


@pytest.mark.parametrize("command", ["'", "", "/nonexistent/program", "printf \\\\xff", "printf [1]"])
def test_a_command_that_gives_no_history_is_told(command: str) -> None:
    with pytest.raises(StoredUnreadable):
        history_from_command(command)


def test_a_history_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(b"\xff\xfe")
    with pytest.raises(StoredUnreadable, match="not UTF-8"):
        history_from_file(tmp_path / "rows")
    row = {"device": "d", "metric": "m", "every": 1, "start": 1, "count": float("inf"), "revision": "x"}
    with pytest.raises(StoredUnreadable, match="not a window row"):
        window_rows([{**row, **dict.fromkeys(("sum", "min", "max", "first", "last"), 0)}])
