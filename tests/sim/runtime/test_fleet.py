"""A run that is asked for faults refuses those that its devices cannot have."""

from pathlib import Path

import pytest

from fleet_sim.devices.endpoint import Endpoint
from fleet_sim.ledger.writing import LedgerWriter
from fleet_sim.runtime.fleet import FleetRun, RunOptions
from fleet_sim.scenario.loading import load_scenario, scaled


@pytest.mark.parametrize(
    ("kind", "metric", "why"),
    [("bias", "door", "'door' is a word"), ("heat_up", "battery", "not of model thermal")],
)
async def test_a_fault_that_does_not_fit_its_metric_is_refused(
    kind: str, metric: str, why: str, tmp_path: Path
) -> None:
    scenario = scaled(load_scenario("cold-chain", env={}), sensors=3)
    run = FleetRun(scenario, RunOptions(Endpoint("127.0.0.1", 1), tmp_path / "run"))
    with LedgerWriter(tmp_path / "run") as ledger:
        run._prepare(ledger, boot=1)
        settings = {"by": 7} if kind == "bias" else {}
        with pytest.raises(ValueError, match=why):
            run.start_fault(kind, {}, metric=metric, **settings)
        assert run.start_fault("stuck", {}, metric="door").number == 1, "one of the scenario has number 0"
    run.deployment.abandon()
