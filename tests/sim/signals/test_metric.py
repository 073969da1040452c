"""What every metric of a scenario may say."""

import pytest
from pydantic import ValidationError

from fleet_sim.signals.metric import Excursions, Metric
from fleet_sim.signals.models import Constant


@pytest.mark.parametrize(("written", "spread"), [(3, (3.0, 3.0)), ([1, 2.5], (1.0, 2.5))])
def test_a_spread_is_a_number_or_a_pair(written: object, spread: tuple[float, float]) -> None:
    assert Constant.model_validate({"model": "constant", "value": written}).value == spread


@pytest.mark.parametrize("written", [True, "3", [1], [1, 2, 3], [1, float("inf")], [1, None]])
def test_anything_else_is_refused(written: object) -> None:
    with pytest.raises(ValidationError, match=r"a number or \[low, high\]"):
        Constant.model_validate({"model": "constant", "value": written})


def test_a_metric_is_computed_from_no_other_unless_its_model_says_so() -> None:
    assert Metric().sources == ()


def test_excursions_stay_a_minute_and_may_cross_the_threshold() -> None:
    assert (Excursions().stay, Excursions().reach) == (60_000, (0.95, 1.1))
