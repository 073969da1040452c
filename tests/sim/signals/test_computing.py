"""Each model has what computes it."""

from fleet_sim.kinds import kinds_of
from fleet_sim.signals.computing import SIGNALS
from fleet_sim.signals.metric import Metric


def test_every_model_has_a_signal_of_its_own() -> None:
    assert SIGNALS.keys() == set(kinds_of(Metric, "model").values())
    assert len(set(SIGNALS.values())) == len(SIGNALS)
