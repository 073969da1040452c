"""Births and wills reach everyone who needs them; what cannot be read goes to the quarantine."""

from edge_gateway.fold.effects import Effects
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.fold.statuses import Statuses
from fleet_wire.control_messages import encode_death
from fleet_wire.topics import STATUS, DeviceTopic
from tests.gateway.fold.given import birth, moment, settings

TOPIC = DeviceTopic("berlin", "f1", STATUS)


def test_a_birth_registers_a_will_ends_and_what_is_neither_is_quarantined() -> None:
    pipeline, effects = build_pipeline("gw", settings()), Effects(0)
    statuses = Statuses(pipeline.admission, pipeline.windows, pipeline.rules)
    statuses.take(TOPIC, birth("f1", line="L1")[1], moment(0), effects, just_sent=True)
    device = pipeline.registry.find("f1")
    assert device is not None
    assert pipeline.registry.tags(device) == {"line": "L1"}
    assert pipeline.admission.describe(device)["online"] is True
    statuses.take(TOPIC, encode_death(), moment(1), effects, just_sent=True)
    assert pipeline.admission.describe(device)["online"] is False
    statuses.take(TOPIC, b"?", moment(2), effects, just_sent=True)
    statuses.take(TOPIC, b"", moment(3), effects, just_sent=True)
    assert [one.topic for one in effects.quarantined] == ["fleet/v1/berlin/f1/status"]
