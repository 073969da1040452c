"""Readings of recordings and of a history."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from edge_gateway.backtest.readings import Sample, of_history, read_csv
from edge_gateway.errors import BadInput
from edge_gateway.store.history import History
from tests.gateway.backtest.weighed import MINUTE, START, readings, series
from tests.recordings.written import write_uci

PLAIN = "time,device,site,type,metric,value,tag.line\n"


def test_a_recording_by_its_mapping(tmp_path: Path) -> None:
    found = read_csv(write_uci(tmp_path / "air.csv", 24), "uci")
    assert (len(found.samples), found.devices["uci-air"].type) == (24, "air-station")
    assert found.devices["uci-air"].units["t"] == "°C"
    assert "nox_gt" in found.metrics
    assert found.spans() == {"uci-air": 23 * 60 * MINUTE}


def test_a_plain_file_says_site_type_and_tags_itself_and_bad_rows_are_told(tmp_path: Path) -> None:
    rows = "2014-01-01,p1,hall,pump,flow,1.5,L1\nnoon,p1,hall,pump,flow,2,L1\n2014-01-02,p1,hall,pump,flow,x,L1\n"
    (tmp_path / "x.csv").write_text(PLAIN + rows)
    found = read_csv(tmp_path / "x.csv", None)
    assert found.samples == [Sample(1_388_534_400_000, "p1", {"flow": 1.5})]
    facts = found.devices["p1"]
    assert (facts.site, facts.type, facts.tags) == ("hall", "pump", {"line": "L1"})
    assert found.notes == [
        "1 row left out, the first: line 3: Invalid isoformat string: 'noon'",
        "1 value left out: not numeric",
    ]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot read"):
        read_csv(tmp_path / "gone.csv", None)
    (tmp_path / "x.csv").write_text("t,v\n")
    with pytest.raises(BadInput, match="no column"):
        read_csv(tmp_path / "x.csv", "nab")


def test_a_part_of_the_time() -> None:
    whole = readings(*series([1, 2, 3]), *series([1], device="d2"))
    part = whole.within(START + MINUTE, START + 2 * MINUTE)
    assert ([each.m for each in part.samples], [*part.devices]) == ([{"t": 2}], ["d1"])
    assert whole.within(None, None).samples == whole.samples
    with pytest.raises(BadInput, match="no reading lies within"):
        whole.within(START - 2, START - 1)


class OneWindow:
    """A history of one window of a number and one of a text, of one device."""

    def series(self) -> Iterator[dict[str, Any]]:
        yield {"device": "d1", "tags": {"line": "L1"}}

    def query(self, what: str, **_selection: object) -> Iterator[dict[str, Any]]:
        names = {"device": "d1", "site": "hall", "type": "pump", "start": START}
        numbers, texts = {"metric": "flow", "last": 2.5}, {"metric": "door", "last": "open"}
        yield names | (numbers if what == "windows" else texts)


def test_a_window_of_the_history_is_one_reading_at_its_end() -> None:
    found = of_history(cast("History", OneWindow()), 10_000, None, None)
    assert found.samples == [Sample(START + 9_999, "d1", {"flow": 2.5, "door": "open"})]
    assert (found.devices["d1"].site, found.devices["d1"].tags) == ("hall", {"line": "L1"})
    assert "windows of 10s" in found.notes[0]


def test_a_history_without_windows() -> None:
    empty = OneWindow()
    empty.query = lambda _what, **_selection: iter(())  # type: ignore[method-assign]
    with pytest.raises(BadInput, match="no windows of that time"):
        of_history(cast("History", empty), 10_000, None, None)
