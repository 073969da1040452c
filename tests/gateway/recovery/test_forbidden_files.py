"""A spool with files that the gateway's user may not use is left as it is."""

import os
from pathlib import Path

import pytest

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.errors import BadInput
from edge_gateway.records.inputs import Moment
from edge_gateway.recovery.startup import recover_spool
from edge_gateway.status.clock import BUILT, MachineClock
from tests.other_users import AS_ROOT, NOBODY, acting_as, open_to_all
from tests.proofs.ground.inside import Inside, configuration
from tests.proofs.order.histories import Reading


@AS_ROOT
@pytest.mark.parametrize("name", ["journal", "checkpoints", "store.sqlite"])
def test_files_of_another_user_are_refused_before_anything_is_changed(tmp_path: Path, name: str) -> None:
    config = GatewayConfig.model_validate({"version": 1, "mqtt": {"url": "mqtt://127.0.0.1"}})
    now = BUILT + 10_000_000_000
    begun = Inside(tmp_path, configuration(tmp_path), now)
    begun.checkpoint()
    begun.deliver(Moment(now, 0, trusted=True), [Reading("d", "s", 1, 0, now, {"heat": 1.0}).delivery()])
    begun.commit()
    begun.close()
    open_to_all(tmp_path)
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    foreign = tmp_path / name
    for path in foreign.iterdir() if foreign.is_dir() else [foreign]:
        os.chown(path, 0, 0)
        path.chmod(0o640)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with acting_as(NOBODY), pytest.raises(BadInput, match=f"{name}.*which belongs to root.*sudo chown -hR"):
        recover_spool(tmp_path, config, "gw", MachineClock())
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
