"""The proof of damage on disk sees what it is for: each kind of failure is counted when the product has it."""

import random
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_gateway.configuration.loading import load_config
from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.journal.checkpoint import write_checkpoint
from edge_gateway.records import codec
from edge_gateway.records.inputs import Batch, Input, Moment, Tick
from edge_gateway.recovery import startup as product
from edge_gateway.recovery.record import record_tree
from edge_gateway.recovery.startup import recover_spool
from edge_gateway.status.clock import MachineClock
from edge_gateway.store import history, window_table
from edge_gateway.store.salvage import sound_rows as tables
from edge_gateway.store.salvage import stages
from fleet_wire.telemetry import encode_telemetry
from tests.proofs.corruption.damage import KINDS, PAGE, Damage
from tests.proofs.corruption.judging import Judge, read_intact
from tests.proofs.proof import Findings

SECOND = 1_000
RECORDS = 40
DEVICES = 12
ON_TIME = DEVICES - 1
"""The device that is never late."""
LATE = 6
"""Seconds."""


@pytest.fixture(scope="module")
def spool(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, GatewayConfig]:
    """The spool of a killed gateway: a checkpoint in the middle, lines not sent yet, late readings merged."""
    directory = tmp_path_factory.mktemp("intact")
    (directory / "token").write_text("none")
    (directory / "token").chmod(0o600)
    (directory / "gateway.yaml").write_text(
        yaml.safe_dump(
            {
                "version": 1,
                "gateway": {"id": "corrupted"},
                "mqtt": {"url": "mqtt://localhost:1"},
                "spool": {"path": str(directory / "spool")},
                "influx": {"url": "http://127.0.0.1:9", "org": "o", "token": f"file:{directory / 'token'}"},
                "windows": [
                    {"every": "2s", "bucket": "base", "keep": "30d"},
                    {"every": "10s", "bucket": "top", "keep": "30d"},
                ],
                "time": {"allowed_lateness": "1s", "idle_close": "2s"},
            }
        )
    )
    config = load_config(directory / "gateway.yaml", environment={}).config
    _live(directory / "spool", config)
    return directory / "spool", config


def _live(place: Path, config: GatewayConfig) -> None:
    clock = MachineClock()
    recovered = recover_spool(place, config, "corrupted", clock)
    now = clock.wall() - RECORDS * SECOND
    for number in range(1, RECORDS + 1):
        at = now + number * SECOND
        given: list[Input] = [_batch(at, number), Tick(Moment(at + 1, number * SECOND))]
        made = [recovered.state.pipeline.fold(one, number=number) for one in given]
        effects, closings = [one.for_store(recovered.names) for one in made], [one.closings for one in made]
        recovered.state.listening, recovered.state.wall = number * SECOND, at + 1
        recovered.journal.append(number, codec.encode(record_tree(given, closings, effects)))
        recovered.journal.sync()
        recovered.store.apply([(number, effects)])
        if number == RECORDS // 2:
            recovered.store.sync()
            write_checkpoint(place / "checkpoints", number, recovered.state.snapshot())
    recovered.journal.close()
    recovered.store.close()


def _batch(at: int, number: int) -> Batch:
    """Return a message of each device, one of them late: for a window that is stored, as a lost one would refuse it."""
    late = [-LATE * SECOND * (device == number % ON_TIME and number > LATE + 2) for device in range(DEVICES)]
    topics = [f"fleet/v1/s/d{device}/telemetry" for device in range(DEVICES)]
    payloads = [
        encode_telemetry(
            boot=1, seq=number, ts=at + late[device], m={"t": 20.0 + device, "on": number % 3 > 0}
        )
        for device in range(DEVICES)
    ]
    return Batch(Moment(at, number * SECOND), topics, payloads)


@pytest.fixture
def judge(spool: tuple[Path, GatewayConfig], tmp_path: Path) -> Judge:
    place, config = spool
    return Judge(read_intact(place, config, tmp_path), tmp_path, Findings())


def test_the_undamaged_spool_contains_every_kind_of_record(judge: Judge) -> None:
    held = judge.intact.held
    assert held.number == RECORDS
    assert {key[2] for key in held.windows} == {2 * SECOND, 10 * SECOND}
    assert {line.split(",")[0] for line in held.lines.values()} >= {"sensor", "sensor_state"}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "read-only"])
def test_damage_of_each_kind_does_no_harm(judge: Judge, kind: str) -> None:
    for seed in range(2):
        judge.one(kind, seed)
    assert judge.findings.ok, judge.findings.examples
    assert judge.findings.faults[kind] == 2


Sabotage = Callable[[pytest.MonkeyPatch], None]


def _no_checksum(patch: pytest.MonkeyPatch) -> None:
    for module in (tables, window_table, history):
        patch.setattr(module, "checked", lambda blob, *_: blob[:-4])


def test_the_corruption_proof_notices_wrong_windows_of_a_store_without_checksums(
    judge: Judge, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(product, "effects_in", lambda _: iter(()))
    place = _with_a_changed_row(judge.intact.place, tmp_path)
    judge._recovers(place, "a changed row", Damage("random bytes", "store.sqlite"))
    assert judge.findings.ok, judge.findings.examples
    shutil.rmtree(place)
    _no_checksum(monkeypatch)
    place = _with_a_changed_row(judge.intact.place, tmp_path)
    judge._recovers(place, "a changed row", Damage("random bytes", "store.sqlite"))
    assert judge.findings.wrong


def _with_a_changed_row(intact: Path, directory: Path) -> Path:
    """Copy the spool, change the sum of a window that gets no late reading, and break an index.

    So recovery examines the store.
    """
    place = directory / "changed"
    shutil.copytree(intact, place)
    db = sqlite3.connect(place / "store.sqlite")
    tier, start, series, row = db.execute(
        "SELECT tier, start, series, row FROM window JOIN series ON id = series WHERE device = ? ORDER BY start",
        (f"d{ON_TIME}",),
    ).fetchone()
    changed = row[:20] + b"\x07" + row[21:]
    db.execute(
        "UPDATE window SET row=? WHERE tier=? AND start=? AND series=?", (changed, tier, start, series)
    )
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (page,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name='alert_at'").fetchone()
    db.close()
    data = bytearray((place / "store.sqlite").read_bytes())
    data[(page - 1) * PAGE : page * PAGE] = random.Random(1).randbytes(PAGE)
    (place / "store.sqlite").write_bytes(data)
    return place


def test_a_recovery_that_raises_loses_or_reports_nothing_is_counted(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(product, "_is_whole", lambda *_: 1 / 0)
        judge.one("missing file", 1)
    assert judge.findings.forbidden["service not up"] == 1
    with monkeypatch.context() as patch:
        patch.setattr(product, "_findings", lambda *_: [])
        patch.setattr(product, "_store_findings", lambda *_, **__: [])
        patch.setattr(product, "effects_in", lambda _: iter(()))
        patch.setattr(stages.Salvage, "step", _brings_nothing)
        for seed in range(8):
            judge.one("zeroed pages", seed)
    assert judge.findings.forbidden["loss not reported"]


def _brings_nothing(self: stages.Salvage, *_: Any) -> bool:
    self._change(stage=len(stages.STAGES))
    return True


def test_a_point_with_less_than_the_undamaged_one_is_counted(judge: Judge) -> None:
    held = judge.intact.held
    fuller = {
        key: line.replace("count=2i", "count=3i") if line.startswith("sensor,") else line
        for key, line in held.lines.items()
    }
    judge.intact = replace(judge.intact, held=held._replace(lines=fuller))
    judge.one("poison", 2)
    assert judge.findings.forbidden["partial over good"]
