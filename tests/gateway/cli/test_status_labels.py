"""Every figure that `status` shows has a name and a unit that people understand."""

from __future__ import annotations

import pytest
from msgspec import Struct

from edge_gateway.cli.status_labels import LABELS, duration, figures
from edge_gateway.status.fields import declared
from edge_gateway.status.report import MessageCounts, SinkStatus, SpoolStatus


@pytest.mark.parametrize("section", LABELS)
def test_every_declared_field_of_a_section_has_a_label(section: type[Struct]) -> None:
    assert {of.wire for of in declared(section)} == set(LABELS[section])
    assert not [label for label in LABELS[section].values() if label and "_" in label]


def test_a_figure_has_its_name_and_its_unit() -> None:
    assert figures(MessageCounts, {"received": 1_200, "qos0": 0}) == "received 1,200, with QoS 0: 0"
    spool = {
        "journal_bytes": 5,
        "bytes": {"journal": 0, "late": 1_536},
        "max_bytes": 4 << 30,
        "reserve": True,
    }
    assert figures(SpoolStatus, spool) == (
        "journal 0 B, late readings 1.5 KiB, of at most 4.0 GiB, reserve for a full disk held: yes"
    )
    waiting = {"lines": 5_000, "bytes": 3 << 20, "oldest": 1_790_000_000_123}
    assert figures(SinkStatus, {"waiting": waiting, "problem": "refused"}) == (
        "lines waiting 5,000, taking 3.0 MiB, oldest of 2026-09-21 14:13:20.123Z, problem: refused"
    )


def test_what_a_gateway_of_another_version_reports_is_shown_with_its_name() -> None:
    assert figures(SpoolStatus, {"on_full": "stop", "more": {"of_it": 7}}) == "on full stop, of it 7"


def test_a_duration_below_a_second_has_milliseconds() -> None:
    assert [duration(one) for one in (0, 340, -340, 61_400, -36_000_000)] == [
        "0s",
        "340ms",
        "-340ms",
        "1m1s",
        "-10h",
    ]
