"""What is done to a broker's database keeps it from starting, and traffic beyond its share is counted."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from pathlib import Path
from random import Random

import pytest

from edge_gateway.mqtt.broker_database import fault
from fleet_sim.devices.counters import Snapshot
from tests.proofs import calm
from tests.proofs.broker import EMBEDDED_FAULTS, HEADER, child_of, damage, file_version
from tests.proofs.proof import Servers, Setting

MAGIC = b"\x00\xb5\x00mosquitto db" + bytes(4) + b"\x00\x00\x00\x06"
CHUNKS = b"".join(b"\x00\x00\x00\x01\x00\x00\x00\x20" + bytes([n] * 32) for n in range(1, 9))


@pytest.mark.parametrize(
    "how", [name for name in EMBEDDED_FAULTS if name.startswith("mosquitto.db") and "zeros in" not in name]
)
def test_every_kind_of_damage_changes_the_file(how: str, tmp_path: Path) -> None:
    assert how in EMBEDDED_FAULTS
    assert len(MAGIC) < HEADER + 1
    for seed in range(20):
        database = tmp_path / f"{seed}.db"
        database.write_bytes(MAGIC + CHUNKS)
        assert not fault(database)
        damage(database, how, Random(seed))
        assert database.read_bytes() != MAGIC + CHUNKS


def test_a_child_process_is_found_by_its_name() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert child_of(os.getpid(), "sleep") == child.pid
    finally:
        child.kill()
        child.wait()
    with pytest.raises(AssertionError, match="no child"):
        child_of(os.getpid(), "no-such-program")


def test_a_saved_file_has_another_version(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert file_version(path) == (0, 0)
    path.write_bytes(b"")
    assert file_version(path) != (0, 0)


def snapshot(**counts: int) -> Snapshot:
    fields = dict.fromkeys(Snapshot.__dataclass_fields__, 0)
    return dataclasses.replace(Snapshot(**fields), **counts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("receipts", "resent", "found"),
    [(20, 0, {}), (30, 0, {"receipts and resends": 1}), (10, 5, {"sent again in calm": 5})],
)
def test_traffic_beyond_its_share_is_noticed(
    receipts: int, resent: int, found: dict[str, int], tmp_path: Path
) -> None:
    before = snapshot(published=1_000, receipts=7)
    after = snapshot(published=2_000 + resent, receipts=7 + receipts, resent=resent)
    with Setting(tmp_path, count=1, seed=1, servers=Servers(tmp_path), say=lambda _: None) as setting:
        calm.judge(setting, "in calm", before, after)
        assert dict(setting.findings.forbidden) == found
