"""Which messages wait for the gateway's time, which are refused, and whose devices are heard by them."""

from __future__ import annotations

import msgspec
import pytest

from edge_gateway.fleet.decoders import native
from edge_gateway.fleet.decoders.decoded import Decoded
from edge_gateway.fleet.needy import set_aside
from edge_gateway.fleet.registry import Registry
from edge_gateway.fleet.timestamps import TimeLimits
from edge_gateway.records.inputs import Batch
from tests.gateway.fleet.deliveries import DAY, T, batch, message, topic

PAYLOADS = (message(0, ts=None), message(0), message(0, ts=T + DAY), b"\xc1", message(1, ts=0))
TOPICS = [topic(device) for device in (1, 2, 3, 4, 1)]


def given(*, trusted: bool, may_hold: int = 100) -> tuple[Decoded, Batch]:
    """A message without a time, one with, one of tomorrow, one that is none, and one of 1970."""
    one = msgspec.structs.replace(batch(*PAYLOADS, topics=TOPICS, trusted=trusted), may_hold=may_hold)
    return native.decode(Registry(), one.topics, one.payloads), one


@pytest.mark.parametrize(
    ("trusted", "held", "heard"), [(False, [0, 4], [0, 0]), (True, [0, 2, 4], [0, 2, 0])]
)
def test_what_needs_the_arrival_waits_and_is_heard(
    *, trusted: bool, held: list[int], heard: list[int]
) -> None:
    needy, left = set_aside(*given(trusted=trusted), TimeLimits())
    assert (needy.held, needy.heard.tolist()) == (held, heard)
    assert left.messages.index.tolist() == sorted({0, 1, 2, 4} - set(held))
    assert left.refused == {}


@pytest.mark.parametrize("refuse", [True, False])
def test_what_may_not_wait_is_heard_and_refused_only_where_it_shall_be(*, refuse: bool) -> None:
    needy, left = set_aside(*given(trusted=True, may_hold=1), TimeLimits(), refuse=refuse)
    assert (needy.held, needy.heard.tolist()) == ([0], [0, 2, 0])
    assert left.messages.index.tolist() == [1, 2, 4]
    assert left.refused == ({2: "no_time"} if refuse else {})
