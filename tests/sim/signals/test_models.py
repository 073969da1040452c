"""Every model that is defined can be written into a scenario, told apart by `model`."""

import pytest
from pydantic import TypeAdapter, ValidationError

from fleet_sim.kinds import kinds_of
from fleet_sim.signals.metric import Metric
from fleet_sim.signals.models import Drain, MetricSpec

SPECS: TypeAdapter[Metric] = TypeAdapter(MetricSpec)


def test_the_key_model_chooses_the_class() -> None:
    assert isinstance(SPECS.validate_python({"model": "drain", "per_day": 1}), Drain)


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValidationError) as refused:
        SPECS.validate_python({"model": "magic"})
    assert all(word in str(refused.value) for word in kinds_of(Metric, "model"))
