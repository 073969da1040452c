"""Faults of devices and links do what their label says, to whom and when it says."""

from tests.sim.faults.field import START, Field
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


async def test_the_end_of_a_run_ends_what_is_on_in_the_order_of_the_ends(ground: Field) -> None:
    ground.fault("offline", {"device": "frz-00000"}, for_="10m")
    ground.fault("delay", {"device": "frz-00001"}, for_="5m")
    ground.fault("flap", {"device": "frz-00002"}, every="1m", down="30s")
    ground.injection.turn(START)
    del ground.network.asked[:]
    ground.injection.end()
    assert [asked[:2] for asked in ground.network.asked] == [("unblock", 2), ("link", 1), ("unblock", 0)]
    assert ground.network.asked[1][3] is None
    assert ground.injection.next_at() == float("inf")
    ground.injection.end()
    assert len(ground.network.asked) == 3, "each once"


async def test_the_end_of_a_run_ends_nothing_that_is_over_or_has_not_begun(ground: Field) -> None:
    ground.fault("offline", {"device": "frz-00000"}, for_="1s")
    ground.injection.turn(START + 1_000)
    ground.fault("battery_death", {"device": "frz-00001"}, after="1h", for_="1m")
    ground.fault("reboot", {"device": "frz-00002"}, after="1h")
    before = list(ground.network.asked)
    ground.injection.end()
    assert ground.network.asked == before == [("block", 0), ("unblock", 0)]
