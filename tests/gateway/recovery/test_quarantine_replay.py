"""Quarantined messages, folded again after the cause has been fixed."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.records.store_effects import Quarantined
from edge_gateway.recovery import quarantine_replay
from edge_gateway.recovery.quarantine_replay import QuarantineReplay, replay_quarantine
from edge_gateway.recovery.startup import recover_spool
from edge_gateway.status.clock import MachineClock
from fleet_wire.telemetry import encode_telemetry

T0 = 1_790_000_000_000


def config() -> GatewayConfig:
    return GatewayConfig.model_validate(
        {"version": 1, "gateway": {"id": "gw"}, "mqtt": {"url": "mqtt://localhost"}}
    )


def quarantine(spool: Path, messages: list[tuple[str, bytes]]) -> None:
    startup = recover_spool(spool, config(), "gw", MachineClock())
    startup.store.keep_quarantined(
        [Quarantined(topic, payload, "once unknown", T0) for topic, payload in messages]
    )
    startup.store.sync()
    startup.journal.close()
    startup.store.close()


def reading(seq: int, boot: int = 1) -> tuple[str, bytes]:
    return "fleet/v1/s/d/telemetry", encode_telemetry(boot=boot, seq=seq, ts=T0 + boot - seq, m={"t": 1.0})


@pytest.mark.parametrize("batch", [1, 2, 500])
def test_each_message_is_tried_once_and_only_accepted_ones_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(quarantine_replay, "BATCH", batch)
    bad, other = ("fleet/v1/s/d/telemetry", b"\xc1"), ("fleet/v1/s/d/birth", b"\xc1")
    quarantine(tmp_path, [reading(0), bad, reading(1), other, reading(0)])
    assert replay_quarantine(tmp_path, config()) == QuarantineReplay(
        tried=4, taken=2, duplicate=1, still_bad=1, other=1
    )
    assert replay_quarantine(tmp_path, config()) == QuarantineReplay(tried=1, still_bad=1, other=1)


def test_what_may_have_counted_before_is_told_apart_and_leaves(tmp_path: Path) -> None:
    quarantine(tmp_path, [reading(0, boot=boot) for boot in range(9)] + [reading(1, boot=0)])
    done = replay_quarantine(tmp_path, config())
    assert done == QuarantineReplay(tried=10, taken=9, not_known=1)
    assert replay_quarantine(tmp_path, config()) == QuarantineReplay()


def timeless(spool: Path, at: int) -> None:
    startup = recover_spool(spool, config(), "gw", MachineClock())
    payload = encode_telemetry(boot=1, seq=0, ts=None, m={"t": 1.0})
    startup.store.keep_quarantined([Quarantined("fleet/v1/s/d/telemetry", payload, "no_time", at)])
    startup.store.sync()
    startup.journal.close()
    startup.store.close()


def test_a_message_without_a_time_gets_that_of_its_arrival(tmp_path: Path) -> None:
    at = MachineClock().wall() - 7_200_000
    timeless(tmp_path, at)
    assert replay_quarantine(tmp_path, config()) == QuarantineReplay(tried=1, taken=1)
    startup = recover_spool(tmp_path, config(), "gw", MachineClock())
    assert startup.state.pipeline.windows.newest(0) == at
    startup.journal.close()
    startup.store.close()


def test_a_replay_without_the_time_leaves_what_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeless(tmp_path, T0)
    monkeypatch.setattr(MachineClock, "wall", lambda _: 1_000)
    monkeypatch.setattr("edge_gateway.status.clock.synchronised", lambda: False)
    assert replay_quarantine(tmp_path, config()) == QuarantineReplay(tried=1, still_bad=1)
    monkeypatch.undo()
    assert replay_quarantine(tmp_path, config()) == QuarantineReplay(tried=1, taken=1)


def test_an_empty_quarantine_changes_nothing(tmp_path: Path) -> None:
    assert replay_quarantine(tmp_path, config()) == QuarantineReplay()
