import math
import random
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.fleet.decoders import native
from edge_gateway.fleet.decoders.bad_values import NO_METRIC, NO_NUMBER, BadReason
from edge_gateway.fleet.decoders.decoded import NO_FLOOR, Decoded, only
from edge_gateway.fleet.devices import layouts as layouts_module
from edge_gateway.fleet.limits import RegistryLimits
from edge_gateway.fleet.registry import Registry
from edge_gateway.fleet.timestamps import NO_TIME
from fleet_wire.payload import MAX_TIME
from fleet_wire.telemetry import MAX_PAYLOAD, is_metric_name

TOPIC = "fleet/v1/site/device-1/telemetry"
OTHER = "fleet/v1/site/device-2/telemetry"


def message(m: dict[Any, Any] | None = None, **others: Any) -> bytes:
    return bytes(msgpack.packb({"v": 1, "boot": 3, "seq": 0, "ts": 1_000, "m": m or {}, **others}))


def decode(*payloads: bytes, registry: Registry | None = None, topic: str = TOPIC) -> Decoded:
    return native.decode(registry or Registry(), [topic] * len(payloads), payloads)


def told(registry: Registry, decoded: Decoded) -> list[tuple[Any, ...]]:
    """Every value in words: (message, ts, device, metric, value or text, quality)."""
    found = []
    for values in (decoded.numbers, decoded.states):
        content = (
            values.value.tolist()
            if values is decoded.numbers
            else [registry.strings.text(code) for code in decoded.states.code.tolist()]
        )
        for row, series, what, quality in zip(
            values.row.tolist(), values.series.tolist(), content, values.quality.tolist(), strict=True
        ):
            metric = registry.metric_names[registry.series_metric[series]]
            device = registry.device_name[registry.series_device[series]]
            sample = decoded.samples
            found.append((int(sample.message[row]), int(sample.ts[row]), device, metric, what, quality))
    return sorted(found, key=repr)


def plain(topics: list[str], payloads: list[bytes]) -> tuple[list[tuple[Any, ...]], list[tuple[int, str]]]:
    """The same, one value at a time; and the bad ones as (message, reason)."""
    good: list[tuple[Any, ...]] = []
    bad = []
    for number, (topic, payload) in enumerate(zip(topics, payloads, strict=True)):
        content = msgpack.unpackb(payload)
        device, quality = topic.split("/")[3], content.get("q") or {}
        for step, values in [(0, content["m"]), *content.get("s", [])]:
            ts = content["ts"] + step if "ts" in content else NO_TIME
            for name, value in values.items():
                doubt = quality.get(name, 1.0)
                trusted = round(doubt * 1000) if 0.5 <= doubt <= 1 else 0
                reason = fault(name, value)
                if reason:
                    bad.append((number, reason))
                else:
                    said = str(value).lower() if isinstance(value, bool) else value
                    good.append(
                        (number, ts, device, name, said if isinstance(said, str) else said + 0.0, trusted)
                    )
    return sorted(good, key=repr), sorted(bad)


def fault(name: str, value: object) -> str:
    if not is_metric_name(name):
        return "name"
    match value:
        case bool() | int():
            return ""
        case float():
            return "" if math.isfinite(value) else "not_finite"
        case str():
            return "" if len(value) <= 64 else "too_long"
    return "missing" if value is None else "type"


names = st.sampled_from(["a", "b", "c", "d", "Bad", "e" * 65, ""])
anything = st.one_of(
    st.floats(),
    st.integers(-(2**63), 2**64 - 1),
    st.booleans(),
    st.text(max_size=66),
    st.none(),
    st.lists(st.integers(0, 3), max_size=2),
    st.binary(max_size=3),
)
numbers = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-5, 5))
values = st.one_of(
    st.fixed_dictionaries({"a": numbers, "b": numbers}), st.dictionaries(names, anything, max_size=5)
)
contents = st.fixed_dictionaries(
    {"boot": st.integers(0, 2**63 - 1), "seq": st.integers(0, 2**63 - 1), "m": values},
    optional={
        "v": st.just(1),
        "ts": st.integers(0, 10**12),
        "floor": st.integers(0, 2**63 - 1),
        "q": st.dictionaries(names, st.floats(-1, 2), max_size=3),
        "s": st.lists(st.tuples(st.integers(0, 1000), values), max_size=3),
        "later": st.integers(0, 9),
    },
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([TOPIC, OTHER]), contents), max_size=6), st.booleans())
def test_any_well_formed_batch_is_decoded_as_one_value_at_a_time(batch: list[Any], known: bool) -> None:
    registry = Registry()
    if known:
        registry.device_of(TOPIC)
        registry.device_of(OTHER)
    topics, payloads = [topic for topic, _ in batch], [bytes(msgpack.packb(content)) for _, content in batch]
    decoded = native.decode(registry, topics, payloads)
    good, bad = plain(topics, payloads)
    assert told(registry, decoded) == good
    reasons = [BadReason(reason).text for reason in decoded.bad.reason.tolist()]
    bad_messages = decoded.samples.message[decoded.bad.row].tolist()
    assert sorted(zip(bad_messages, reasons, strict=True)) == bad
    assert decoded.messages.boot.tolist() == [content["boot"] for _, content in batch]
    assert decoded.messages.seq.tolist() == [content["seq"] for _, content in batch]
    assert decoded.messages.floor.tolist() == [content.get("floor", NO_FLOOR) for _, content in batch]
    assert decoded.messages.ts.tolist() == [content.get("ts", NO_TIME) for _, content in batch]
    assert [registry.device_name[device] for device in decoded.messages.device] == [
        topic.split("/")[3] for topic in topics
    ]
    assert not decoded.refused
    assert not decoded.rejected
    for rows in (decoded.numbers.row, decoded.states.row, decoded.samples.message):
        assert (np.diff(rows) >= 0).all()


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=60), contents.map(msgpack.packb)), max_size=5), st.randoms())
def test_no_payload_raises_and_each_is_decoded_or_named(payloads: list[bytes], chance: random.Random) -> None:
    broken = []
    for payload in payloads:
        mutable = bytearray(payload)
        if mutable and chance.random() < 0.5:
            mutable[chance.randrange(len(mutable))] = chance.randrange(256)
        broken.append(bytes(mutable))
    decoded = decode(*broken)
    seen = decoded.messages.index.tolist() + [one.index for one in decoded.rejected]
    assert sorted(seen) == list(range(len(broken)))
    assert all(one.reason for one in decoded.rejected)


@settings(max_examples=150, deadline=None)
@given(st.lists(contents, max_size=5), st.data())
def test_only_keeps_what_belongs_to_the_messages_kept(batch: list[Any], data: st.DataObject) -> None:
    payloads = [bytes(msgpack.packb(content)) for content in batch]
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=len(batch), max_size=len(batch))), np.bool_)
    registry, other = Registry(), Registry()
    decoded = only(decode(*payloads, registry=registry), keep)
    alone = decode(*(payload for payload, kept in zip(payloads, keep, strict=True) if kept), registry=other)
    assert told(registry, decoded) == told(other, alone)
    assert decoded.bad.row.tolist() == alone.bad.row.tolist()
    assert decoded.messages.seq.tolist() == alone.messages.seq.tolist()


class TestValues:
    def test_a_negative_zero_is_a_zero(self) -> None:
        assert math.copysign(1, decode(message({"a": -0.0})).numbers.value[0]) == 1

    def test_bools_are_states_not_numbers(self) -> None:
        registry = Registry()
        decoded = decode(message({"a": 1.5, "b": True}), registry=registry)
        assert decoded.numbers.value.tolist() == [1.5]
        assert [registry.strings.text(code) for code in decoded.states.code] == ["true"]

    def test_digits_in_a_text_stay_a_text(self) -> None:
        assert len(decode(message({"a": "12"})).numbers.row) == 0

    def test_integers_beyond_the_exact_ones_are_rounded(self) -> None:
        decoded = decode(message({"a": 2**53 + 1, "b": 2**64 - 1, "c": -(2**63)}))
        assert decoded.numbers.value.tolist() == [2.0**53, 2.0**64, -(2.0**63)]

    def test_a_misspelt_name_costs_its_value_only(self) -> None:
        decoded = decode(message({"a": 1.0, "Temp": 2.0, "b": 3.0}))
        assert decoded.numbers.value.tolist() == [1.0, 3.0]
        assert decoded.bad.metric.tolist() == [NO_METRIC]
        assert decoded.bad.reason.tolist() == [BadReason.NAME]

    @pytest.mark.parametrize(
        ("said", "quality"), [(1.0, 1000), (0.5, 500), (0.57, 570), (0.4999, 0), (1.1, 0)]
    )
    def test_quality_is_kept_in_thousandths(self, said: float, quality: int) -> None:
        assert decode(message({"a": 1.0}, q={"a": said})).numbers.quality.tolist() == [quality]

    def test_what_a_message_doubts_it_doubts_in_all_its_samples(self) -> None:
        decoded = decode(message({"a": 1.0}, q={"a": 0.6}, s=[[5, {"a": 2.0, "b": 3.0}]]))
        assert decoded.numbers.quality.tolist() == [600, 600, 1000]

    def test_a_message_without_values_stands_as_a_row(self) -> None:
        decoded = decode(message())
        assert decoded.samples.ts.tolist() == [1_000]


class TestRefusals:
    def test_an_oversize_payload_is_not_decoded(self) -> None:
        decoded = decode(message({"a": "x" * MAX_PAYLOAD}))
        assert [one.index for one in decoded.rejected] == [0]
        assert "longer than" in decoded.rejected[0].reason

    def test_a_malformed_message_of_a_known_device_keeps_its_sequence(self) -> None:
        registry = Registry()
        registry.device_of(TOPIC)
        decoded = decode(message({"a": 1.0}, ts="noon"), registry=registry)
        assert decoded.messages.seq.tolist() == [0]
        assert list(decoded.refused) == [0]
        assert len(decoded.numbers.row) == 0

    def test_a_malformed_message_registers_no_device(self) -> None:
        registry = Registry()
        decoded = decode(message({"a": 1.0}, ts="noon"), b"\xc1", registry=registry)
        assert registry.devices == 0
        assert [(one.index, one.device) for one in decoded.rejected] == [(0, -1), (1, -1)]

    def test_another_version_is_not_understood_at_all(self) -> None:
        registry = Registry()
        registry.device_of(TOPIC)
        decoded = decode(message({"a": 1.0}, v=2), registry=registry)
        assert [(one.index, one.device) for one in decoded.rejected] == [(0, 0)]

    def test_a_device_from_another_site_is_refused(self) -> None:
        registry = Registry()
        payload = message({"a": 1.0})
        decoded = native.decode(
            registry, [TOPIC, "fleet/v1/elsewhere/device-1/telemetry", "edge/v1/x/status"], [payload] * 3
        )
        assert [(one.index, one.reason) for one in decoded.rejected] == [(1, "wrong_site"), (2, "bad_topic")]

    def test_the_cap_on_devices_names_itself(self) -> None:
        registry = Registry(RegistryLimits(devices=1))
        decoded = native.decode(registry, [TOPIC, OTHER], [message()] * 2)
        assert [one.reason for one in decoded.rejected] == ["too_many_devices"]
        assert registry.refused == {"too_many_devices": 1}

    def test_the_cap_on_series_takes_values_alone(self) -> None:
        registry = Registry(RegistryLimits(series=2))
        payloads = [message({"a": 1.0}), message({"a": 1.0, "b": 1.0, "c": 1.0}), message({"b": 2.0})]
        decoded = decode(*payloads, registry=registry)
        assert decoded.refused == {}
        assert decoded.numbers.value.tolist() == [1.0, 1.0, 1.0, 2.0]
        assert decoded.numbers.row.tolist() == [0, 1, 1, 2]
        assert [(*one,) for one in zip(*decoded.bad, strict=True)] == [
            (1, NO_NUMBER, BadReason.TOO_MANY_SERIES)
        ]
        assert registry.refused == {"too_many_series": 1}

    def test_the_cap_on_texts_takes_values_alone(self) -> None:
        registry = Registry(RegistryLimits(strings=1))
        payloads = [message({"a": "on"}), message({"a": "off", "b": 1.0}), message({"a": "on", "b": True})]
        decoded = decode(*payloads, registry=registry)
        assert decoded.refused == {}
        assert decoded.states.row.tolist() == [0, 2, 2]
        assert decoded.numbers.value.tolist() == [1.0]
        assert [(*one,) for one in zip(*decoded.bad, strict=True)] == [(1, 0, BadReason.TOO_MANY_TEXTS)]

    def test_a_sample_past_2100_refuses_its_message(self) -> None:
        registry = Registry()
        registry.device_of(TOPIC)
        late = message({"a": 1.0}, ts=MAX_TIME - 1, s=[[2, {"a": 2.0}]])
        assert "2100" in decode(late, registry=registry).refused[0]
        assert "2100" in decode(late, b"", registry=registry).refused[0]


INTEGERS, FLOATS, QUALITIES = np.dtype(np.int64), np.dtype(np.float64), np.dtype(np.uint16)


@pytest.mark.parametrize(
    "payloads",
    [
        [],
        [b""],
        [message()],
        [message({"a": 1.0})],
        [message({"a": "on"})],
        [message({"Bad": 1.0})],
        [message({"a": None})],
        [message({"a": 1.0, "b": "on"}, q={"a": 0.7}, s=[[5, {"a": 2.0}]])],
        [message({"a": 1.0}), message({"a": "on"}, ts=None, floor=0), b"\xc1"],
    ],
)
def test_columns_have_their_types_however_few_values_they_hold(payloads: list[bytes]) -> None:
    registry = Registry(RegistryLimits(series=1))
    for known in (False, True):
        decoded = decode(*payloads, registry=registry)
        types = {
            name: [getattr(part, column).dtype for column in part.__slots__]
            for name in ("messages", "samples", "numbers", "states")
            for part in [getattr(decoded, name)]
        }
        assert types == {
            "messages": [INTEGERS] * 6,
            "samples": [INTEGERS] * 2,
            "numbers": [INTEGERS, INTEGERS, FLOATS, QUALITIES],
            "states": [INTEGERS, INTEGERS, INTEGERS, QUALITIES],
        }, known
        assert [column.dtype for column in decoded.bad] == [INTEGERS] * 3


def test_full_caches_change_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    roomy, tight = Registry(), Registry()
    batches = [
        [message(dict.fromkeys(draw.sample("abcdefgh", k=4), 1.0)) for _ in range(20)]
        for draw in [random.Random(5)]
        for _ in range(20)
    ]
    expected = [decode(*batch, registry=roomy).numbers.series.tolist() for batch in batches]
    monkeypatch.setattr(layouts_module, "LAYOUTS_CACHED", 3)
    monkeypatch.setattr(layouts_module, "SLOTS_CACHED", 9)
    assert [decode(*batch, registry=tight).numbers.series.tolist() for batch in batches] == expected
    assert len(tight.table.layouts.known) <= 3 + 20


def test_a_device_with_ever_other_metrics_leaves_the_others_their_layouts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(layouts_module, "LAYOUTS_CACHED", 20)
    registry = Registry()
    usual = decode(message({"a": 1.0, "b": 2.0}), registry=registry).numbers.series.tolist()
    table = registry.table
    start = table.layouts.start(0, table.layouts.known["a", "b"])
    for number in range(100):
        decode(message({"a": 1.0, f"m{number}": 2.0}), registry=registry, topic=OTHER)
    assert len(table.layouts.known) <= 21
    assert table.layouts.start(0, table.layouts.known["a", "b"]) == start, "not looked up again"
    assert decode(message({"a": 1.0, "b": 2.0}), registry=registry).numbers.series.tolist() == usual


def test_a_signalling_nan_is_a_bad_value_and_no_warning() -> None:
    """Adding to one makes numpy warn, and a warning in a log looks like a fault of the gateway."""
    signalling = b"\xcb\x7f\xf0\x00\x00\x00\x00\x00\x01"
    head = b"\x83\xa4boot\x01\xa3seq"
    payloads = [
        head + b"\x00\xa1m\x81\xa1a" + signalling,
        head + b"\x01\xa1m\x82\xa1a" + signalling + b"\xa1b\xa1x",
    ]
    decoded = native.decode(Registry(), [TOPIC, TOPIC], payloads)
    assert decoded.bad.reason.tolist() == [BadReason.NOT_FINITE, BadReason.NOT_FINITE]
    assert (len(decoded.numbers.row), len(decoded.states.row)) == (0, 1)
