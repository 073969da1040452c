"""Refused publications are one problem per kind, until that kind is accepted."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from edge_gateway.fold.messages import Message
from edge_gateway.mqtt.refusals import FORGET_AFTER, MOST_REMEMBERED, REFUSED, Refusals
from edge_gateway.status.counters import Counters
from edge_gateway.status.problems import Problems
from fleet_wire.errors import NOT_AUTHORISED

BUSY = 0x89


@dataclass
class Watched:
    now: float = 0.0
    counters: Counters = field(default_factory=Counters)
    problems: Problems = field(default_factory=lambda: Problems(lambda: 0))

    def __post_init__(self) -> None:
        self.refusals = Refusals("gw", lambda: self.now, self.counters, self.problems)

    @property
    def texts(self) -> dict[str, str]:
        return {one.code: one.text for one in self.problems}


def command(device: str) -> Message:
    return Message(f"fleet/v1/berlin/{device}/command", b"x")


def test_failures_begin_at_0x80() -> None:
    assert REFUSED == 0x80


@pytest.mark.parametrize(
    ("topic", "code", "allow"),
    [
        ("edge/v1/gw/status", "refused_statuses", "edge/v1/gw/status"),
        ("edge/v1/gw/alerts/s/d/TooWarm", "refused_alerts", "edge/v1/gw/alerts/#"),
        ("fleet/v1/s/d/command", "refused_commands", "fleet/v1/+/+/command"),
        ("fleet/v1/s/d/receipt", "refused_receipts", "fleet/v1/+/+/receipt"),
        ("edge/v1/gw/reply", "refused_replies", "edge/v1/gw/reply"),
    ],
)
def test_each_kind_has_a_problem_a_counter_and_an_acl_line(topic: str, code: str, allow: str) -> None:
    watched = Watched()
    reason = watched.refusals.refused(Message(topic, b"x"), NOT_AUTHORISED)
    assert reason == f"not authorised: check the ACL for {allow}"
    assert reason in watched.texts[code]
    assert getattr(watched.counters, code) == 1
    watched.refusals.accepted(Message(topic, b"x"))
    assert watched.texts == {}


def test_the_problem_names_five_devices_and_counts_the_others() -> None:
    watched = Watched()
    for number in range(8):
        watched.refusals.refused(command(f"d{number}"), NOT_AUTHORISED)
    assert watched.texts["refused_commands"].endswith("(of d0, d1, d2, d3, d4 and 3 more)")
    assert watched.counters.refused_commands == 8


def test_an_acceptance_forgets_its_own_topic_and_old_refusals() -> None:
    watched = Watched()
    watched.refusals.refused(command("old"), BUSY)
    watched.now = FORGET_AFTER + 1
    watched.refusals.refused(command("recent"), BUSY)
    watched.refusals.accepted(command("other"))
    assert watched.texts["refused_commands"].endswith("(of recent)")
    watched.refusals.accepted(command("recent"))
    assert watched.texts == {}


def test_an_acceptance_of_another_kind_clears_nothing() -> None:
    watched = Watched()
    watched.refusals.refused(command("d"), BUSY)
    watched.refusals.accepted(Message("edge/v1/gw/reply", b"x"))
    assert "refused_commands" in watched.texts


def test_only_the_newest_refusals_are_remembered() -> None:
    watched = Watched()
    for number in range(MOST_REMEMBERED + 1):
        watched.refusals.refused(command(f"d{number:04}"), BUSY)
    assert (
        f"(of d0001, d0002, d0003, d0004, d0005 and {MOST_REMEMBERED - 5} more)"
        in watched.texts["refused_commands"]
    )
