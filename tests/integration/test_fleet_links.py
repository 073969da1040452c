"""Bad links, dead batteries, and the last birth of a device that stops, on a real broker."""

import asyncio
from pathlib import Path

from fleet_sim.ledger.reading import read_ledger
from fleet_wire.control_messages import (
    Birth,
)
from tests.integration.watched import acked_messages, run_of, watching
from tests.servers.broker import Broker


async def test_a_device_that_stops_announces_which_messages_will_never_arrive(
    tmp_path: Path, broker: Broker
) -> None:
    """Its last birth names no message that is still in its buffer, nor one whose time had not come."""
    run = run_of(tmp_path, broker, "left", every="50ms", settle=0.0)
    async with watching(broker, "left") as watcher:
        going = asyncio.create_task(run.run())
        await watcher.until(lambda: len(watcher.messages()) > 5)
        run.disconnect({"device": "left-0000"}, 2000)
        await watcher.until(lambda: len(watcher.births("left-0000")) == 2)
        run.stop()
        result = await going
        await watcher.until(lambda: len(watcher.births("left-0000")) == 3)
    assert result.unfinished > 0, "its buffer was not empty"
    last = watcher.births("left-0000")[-1]
    assert last.floor == last.next == result.counters["made"]


async def test_a_birth_counts_only_messages_that_are_due(tmp_path: Path, broker: Broker) -> None:
    """Messages are made a tenth of a second ahead; what a stop leaves of them was never promised."""
    run = run_of(tmp_path, broker, "ahead", count=20, every="40ms")
    async with watching(broker, "ahead") as watcher:
        going = asyncio.create_task(run.run())
        await watcher.until(lambda: len(watcher.messages()) > 50 and run.up == 20)
        run.start_fault("storm", {}, reconnect={"within": "0s"}, times=3, every="100ms")
        await watcher.until(lambda: sum(isinstance(each, Birth) for _, each in watcher.statuses) >= 80)
        run.stop()
        result = await going
        await watcher.until(lambda: len(watcher.messages()) >= result.counters["made"])
    made = {device: 0 for device, _ in watcher.statuses}
    for device, _, seq in watcher.messages():
        made[device] = max(made[device], seq + 1)
    assert all(each.next <= made[device] for device in made for each in watcher.births(device))


async def test_bad_links_lose_nothing_and_a_dead_battery_loses_only_its_buffer(
    tmp_path: Path, broker: Broker
) -> None:
    run = run_of(tmp_path, broker, "bad", count=5, every="50ms")
    async with watching(broker, "bad") as watcher:
        going = asyncio.create_task(run.run())
        await watcher.until(lambda: len({device for device, _, seq in watcher.messages() if seq > 1}) == 5)
        run.start_fault("black_hole", {"device": "bad-0000"}, for_="1s")
        run.start_fault("flap", {"device": "bad-0001"}, every="600ms", down="200ms", for_="1500ms")
        run.start_fault("delay", {"device": "bad-0002"}, by="150ms", for_="1s")
        run.start_fault("bandwidth", {"device": "bad-0003"}, bytes_per_second=4_000, for_="1s")
        run.start_fault("battery_death", {"device": "bad-0004"}, for_="700ms")
        await watcher.until(lambda: len(watcher.births("bad-0001")) >= 3)
        await watcher.until(
            lambda: len({boot for device, boot, _ in watcher.messages() if device == "bad-0004"}) == 2
        )
        await watcher.until(lambda: run.up == 5 and not run.snapshot().waiting, 20)
        born = len(
            watcher.births("bad-0000")
        )  # at its end a fleet may send births again, to ask for receipts
        run.stop()
        result = await going
        ledger = read_ledger(result.directory)
        await watcher.until(lambda: acked_messages(ledger).keys() <= watcher.messages().keys())
    seen: dict[str, dict[int, set[int]]] = {}
    for device, boot, seq in watcher.messages():
        seen.setdefault(device, {}).setdefault(boot, set()).add(seq)
    for device in sorted(seen)[:4]:
        [seqs] = seen[device].values()
        assert seqs == set(range(len(seqs))), device
    assert len(seen["bad-0004"]) == 2, "a new battery is a new boot"
    assert born == 1, "the black hole was shorter than its keep-alive: nobody noticed"
