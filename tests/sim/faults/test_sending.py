"""Messages that are sent in another way than they should be."""

from array import array

import pytest

from tests.sim.faults.field import START, Field


async def test_a_duplicate_is_the_same_message_twice(ground: Field) -> None:
    ground.fault("duplicate", p=1.0)
    message = ground.send(0, 4)
    assert ground.wires[0].of("telemetry") == [b"4", b"4"]
    assert message.block.sent == array("q", [5])


async def test_a_reordered_message_follows_its_successors(ground: Field) -> None:
    ground.fault("reorder", p=1.0, by=2, for_="1ms")
    for seq, at in enumerate((0, 10, 20, 30)):
        ground.send(0, seq, at)
    assert ground.wires[0].of("telemetry") == [b"1", b"2", b"0", b"3"]


async def test_a_late_batch_is_held_and_sent_together(ground: Field) -> None:
    ground.fault("late_batch", hold="1s", for_="2500ms")
    for seq, at in enumerate((0, 400, 800)):
        ground.send(0, seq, at)
    assert ground.wires[0].of("telemetry") == []
    ground.injection.turn(START + 1000)
    assert ground.wires[0].of("telemetry") == [b"0", b"1", b"2"]
    ground.send(0, 3, 2400)
    ground.injection.turn(START + 2500)
    assert ground.wires[0].of("telemetry")[3:] == [b"3"]
    ground.send(0, 4, 2600)
    assert ground.wires[0].of("telemetry")[4:] == [b"4"], "over"


@pytest.mark.parametrize("kind", ["truncated", "random", "oversize"])
async def test_a_damaged_message_goes_out_in_place_of_the_true_one(ground: Field, kind: str) -> None:
    ground.fault(kind, p=1.0)
    message = ground.send(0, 1234)
    [payload] = ground.wires[0].of("telemetry")
    assert payload != b"1234"
    assert {"truncated": 2, "random": 4, "oversize": 70_000}[kind] == len(payload)
    assert message.block.sent == array("q", [0])
    ground.wires[0].waiting.pop()(0)
    outbox = ground.devices[0].outbox
    assert (outbox.kept, ground.devices[0].world.counters.acked) == (1, 0), (
        "held for a receipt, never counted as acked"
    )
