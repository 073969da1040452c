"""Messages that say what they should not."""

from fleet_sim.devices.emission import Block
from fleet_sim.faults.content import WRONG
from tests.sim.faults.field import NOTHING, START, Field


async def test_a_wrong_type_is_absent_from_the_ledger(ground: Field) -> None:
    ground.fault("wrong_type", {"device": "frz-00001"}, metric="temperature", p=1.0)
    block = Block(ground.devices, [int(START)] * 4, [0] * 4, NOTHING)
    contents = [{"temperature": 1.0, "battery": 2.0} for _ in range(4)]
    ground.injection.corrupt(block, contents)
    assert [content["temperature"] for content in contents] == [1.0, WRONG, 1.0, 1.0]
    assert block.absent["temperature"].tolist() == [False, True, False, False]
    assert "battery" not in block.absent
