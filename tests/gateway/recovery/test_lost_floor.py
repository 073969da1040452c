"""From which time on a store that was lost is taken to be complete."""

from pathlib import Path

import pytest

from edge_gateway.journal import spool
from edge_gateway.records.inputs import Moment
from edge_gateway.recovery.startup import lost_floor
from fleet_wire import topics
from fleet_wire.telemetry import encode_telemetry
from tests.proofs.ground.inside import Inside, configuration


def test_a_stamp_from_2099_does_not_keep_windows_of_a_lost_store_from_being_corrected(tmp_path: Path) -> None:
    now, ahead = 1_760_000_400_000, 4_070_908_800_000
    inside = Inside(tmp_path, configuration(tmp_path), now)
    topic = topics.device_topic("s", "frz-ahead", topics.TELEMETRY)
    untrusted = Moment(now, 0, trusted=False)
    inside.deliver(untrusted, [(topic, encode_telemetry(1, 0, ahead, {"heat": 1.0}))])
    inside.settle(untrusted)
    assert inside.pipeline.windows.closed_to > ahead
    inside.checkpoint()
    inside.store.close()
    (tmp_path / spool.STORE).unlink()
    inside.crash()
    assert inside.store.opened.created
    assert now <= inside.store.floor <= inside.clock.now + 300_000
    inside.close()


@pytest.mark.parametrize(("closed_to", "floor"), [(50, 1_000), (1_005, 1_005), (1 << 60, 301_000)])
def test_the_floor_of_a_new_store_is_where_windows_were_closed_as_far_as_clocks_may_be_ahead(
    closed_to: int, floor: int
) -> None:
    config = configuration(Path("spool"), time={"max_future_skew": "5m"})
    assert lost_floor(1_000, closed_to, config) == floor
