"""What the devices of a run share."""

import asyncio
from pathlib import Path

from fleet_sim.devices.world import World
from fleet_sim.ledger.writing import LedgerWriter


async def test_devices_write_into_the_tables_of_the_ledger(tmp_path: Path) -> None:
    with LedgerWriter(tmp_path) as ledger:
        world = World.of(ledger, asyncio.get_running_loop(), lambda: 2_000, lambda: 2)
        assert (world.now_us(), world.now_ms()) == (2_000, 2)
        tables = (world.sends, world.acks, world.receipts, world.drops)
        assert all(
            table is ledger.table(name)
            for table, name in zip(tables, ("sends", "acks", "receipts", "drops"), strict=True)
        )
        assert world.counters.made == 0
        assert world.draining == {}
