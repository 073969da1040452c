"""Births and wills reach everyone who needs them; what cannot be read goes to the quarantine."""

from msgspec import structs

from edge_gateway.fold.effects import Effects
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.fold.statuses import Statuses
from edge_gateway.records import codec
from edge_gateway.records.inputs import Batch, Forget, Tick
from fleet_wire.control_messages import Birth, encode_birth, encode_death
from fleet_wire.topics import STATUS, DeviceTopic, device_topic
from tests.gateway.fold.given import batch, birth, moment, reading, settings

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


def retained(ms: int, *messages: tuple[str, bytes]) -> Batch:
    """Statuses that the broker kept, as a subscription gets them."""
    return structs.replace(batch(ms, *messages), copies=list(range(len(messages))))


def forgotten() -> Pipeline:
    """A fold whose device f1 was born, heard, forgotten and retired."""
    pipeline = build_pipeline("gw", settings())
    pipeline.fold(batch(0, birth("f1")))
    pipeline.fold(batch(1_000, reading("f1", 0, 1_000, temperature=1.0)))
    pipeline.fold(Forget(moment(2_000), "f1"))
    for ms in range(3_000, 40_000, 1_000):
        pipeline.fold(Tick(moment(ms)))
    assert pipeline.registry.find("f1") is None
    return pipeline


def test_what_is_retained_of_a_forgotten_device_does_not_bring_it_back_after_a_restart() -> None:
    pipeline, fresh = forgotten(), build_pipeline("gw", settings())
    fresh.restore(codec.decode(codec.encode(pipeline.snapshot())))
    will = device_topic("berlin", "f1", STATUS), encode_death()
    fresh.fold(retained(50_000, birth("f1"), will))
    assert fresh.registry.find("f1") is None


def test_a_device_that_is_back_is_a_device_again() -> None:
    for back in (batch(50_000, birth("f1")), batch(50_000, reading("f1", 1, 50_000, temperature=2.0))):
        pipeline = forgotten()
        pipeline.fold(back)
        device = pipeline.registry.find("f1")
        assert device is not None
        pipeline.fold(retained(51_000, birth("f1", line="L9")))
        assert pipeline.registry.tags(device) == {"line": "L9"}


def test_a_mark_ends_when_nothing_is_retained_any_more() -> None:
    pipeline = forgotten()
    pipeline.fold(retained(50_000, (device_topic("berlin", "f1", STATUS), b"")))
    pipeline.fold(retained(51_000, birth("f1")))
    assert pipeline.registry.find("f1") is not None


def born(boot: int, ts: int, line: str) -> tuple[str, bytes]:
    said = Birth(type="freezer", boot=boot, ts=1_700_000_000_000 + ts, tags={"line": line})
    return device_topic(*TOPIC), encode_birth(said)


def test_the_birth_of_an_earlier_boot_that_comes_again_does_not_make_it_the_current_one() -> None:
    """A client that sends what had no answer again can send its birth before last after its last one."""
    pipeline = build_pipeline("gw", settings())
    first, second = born(1, 1_000, "L1"), born(2, 2_000, "L2")
    pipeline.fold(batch(0, first))
    pipeline.fold(batch(1_000, second))
    device = pipeline.registry.find("f1")
    assert device is not None
    for again in (batch(2_000, first), retained(3_000, first)):
        pipeline.fold(again)
        assert int(pipeline.admission.clocks.boot[device]) == 2
        assert pipeline.registry.tags(device) == {"line": "L2"}
    pipeline.fold(batch(4_000, born(1, 9_000, "L1")))
    assert int(pipeline.admission.clocks.boot[device]) == 1, "another birth than before"
