"""Faults of devices and links do what their label says, to whom and when it says."""

from tests.sim.faults.field import Field
from tests.sim.wires import Wire


async def test_a_device_without_faults_is_left_alone(ground: Field) -> None:
    ground.fault("duplicate", {"device": "frz-00001"}, p=1.0)
    assert [ground.injection.intercepts(device) for device in ground.devices] == [False, True, False, False]


async def test_chance_is_of_the_message_not_of_the_moment(ground: Field) -> None:
    ground.fault("duplicate", p=0.3)
    for seq in range(200):
        ground.send(0, seq)
        ground.wires[0].waiting.pop()(0)
    twice = len(ground.wires[0].of("telemetry")) - 200
    assert 40 <= twice <= 80
    again = Field(ground.devices, [Wire() for _ in range(4)], ground.network, ground.injection)
    ground.devices[0].session = again.wires[0]
    for seq in range(200):
        again.send(0, seq)
        again.wires[0].waiting.pop()(0)
    assert again.wires[0].of("telemetry") == ground.wires[0].of("telemetry")


async def test_a_fault_holds_only_in_its_time(ground: Field) -> None:
    ground.fault("duplicate", p=1.0, after="10s", for_="5s")
    for seq, at in enumerate((9_999, 10_000, 14_999, 15_000)):
        ground.send(0, seq, at)
    assert ground.wires[0].of("telemetry") == [b"0", b"1", b"1", b"2", b"2", b"3"]
