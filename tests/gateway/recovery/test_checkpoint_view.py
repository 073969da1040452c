"""The devices of the newest checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.errors import BadInput
from edge_gateway.journal import spool
from edge_gateway.journal.checkpoint import write_checkpoint
from edge_gateway.records.inputs import Batch, Moment
from edge_gateway.recovery.checkpoint_view import devices_in_checkpoint
from edge_gateway.recovery.startup import recover_spool
from edge_gateway.status.clock import MachineClock
from fleet_wire.telemetry import encode_telemetry

T0 = 1_790_000_000_000


def config(place: Path) -> GatewayConfig:
    return GatewayConfig.model_validate(
        {"version": 1, "gateway": {"id": "gw"}, "mqtt": {"url": "mqtt://localhost"}, "spool": {"path": place}}
    )


def test_devices_are_those_of_the_newest_checkpoint_with_its_time(tmp_path: Path) -> None:
    startup = recover_spool(tmp_path, config(tmp_path), "gw", MachineClock())
    topics = [f"fleet/v1/s/{name}/telemetry" for name in ("a", "b")]
    payload = encode_telemetry(boot=1, seq=0, ts=T0, m={"t": 1.0})
    startup.state.pipeline.fold(Batch(Moment(T0, 0), topics, [payload] * 2))
    startup.state.wall = T0
    write_checkpoint(tmp_path / spool.CHECKPOINTS, startup.number + 1, startup.state.snapshot())
    startup.journal.close()
    startup.store.close()
    found = list(devices_in_checkpoint(config(tmp_path), None))
    assert [(one["device"], one["at"]) for one in found] == [("a", T0), ("b", T0)]
    assert [one["device"] for one in devices_in_checkpoint(config(tmp_path), "b")] == ["b"]


def test_troubles_are_those_of_the_listening_time_of_the_checkpoint(tmp_path: Path) -> None:
    startup = recover_spool(tmp_path, config(tmp_path), "gw", MachineClock())
    state = startup.state
    topic, payload = "fleet/v1/s/a/telemetry", encode_telemetry(boot=1, seq=0, ts=T0, m={"t": 1.0})
    state.pipeline.fold(Batch(Moment(T0, 10**9), [topic], [payload]))
    state.pipeline.windows.late_share.over(np.zeros(3, np.int64), 10**9)
    state.listening = 10**9
    write_checkpoint(tmp_path / spool.CHECKPOINTS, startup.number + 1, state.snapshot())
    startup.journal.close()
    startup.store.close()
    (found,) = devices_in_checkpoint(config(tmp_path), None)
    assert found["troubles"] == [], "three late readings are far from a share"


@pytest.mark.parametrize("made", [False, True])
def test_no_readable_checkpoint_is_said(tmp_path: Path, *, made: bool) -> None:
    if made:
        (tmp_path / spool.CHECKPOINTS).mkdir()
    with pytest.raises(BadInput, match="there is no checkpoint at"):
        devices_in_checkpoint(config(tmp_path), None)
