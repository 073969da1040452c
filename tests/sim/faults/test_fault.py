"""What every kind of fault may say."""

import pytest
from pydantic import ValidationError

from fleet_sim.faults.fault import Fault
from fleet_sim.faults.link import Outage
from fleet_sim.faults.sending import Duplicate


def test_match_holds_the_devices_and_the_share_of_them() -> None:
    fault = Outage.model_validate({"match": {"site": "lyon", "share": "10%"}})
    assert fault.match.share == 0.1
    assert fault.match.match.as_dict() == {"site": ["lyon"]}
    assert Outage().match.share == 1.0
    with pytest.raises(ValidationError):
        Outage.model_validate({"match": "all"})


def test_a_kind_without_p_strikes_everything() -> None:
    assert Outage().chance == 1.0
    assert Duplicate(p=0.25).chance == 0.25


def test_a_kind_does_nothing_at_certain_times_unless_it_says_so() -> None:
    assert list(Fault(kind="x").deeds(0, 1)) == []
