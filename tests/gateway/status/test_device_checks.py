"""Devices that cannot be heard, or not be believed: each is a problem by its name until it sends what is good."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.fleet.watch.troubled_topics import FORGOTTEN, GIVES_WAY, MOST_A_NAME, MOST_STRANGERS
from edge_gateway.fold.forget import forget_input
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records.inputs import Batch, Forget, Moment, Reload, Tick
from edge_gateway.recovery.settings import fold_settings
from edge_gateway.rules.files.load import load_rules
from edge_gateway.rules.language.ruleset import RuleSet
from fleet_wire import control_messages
from fleet_wire.telemetry import encode_telemetry
from tests.gateway.status.fed_gateway import START, YEAR_2021, Gateway, as_json, birth, fresh, reading, topic

NOW = Moment(START, 0)
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
FREEZERS = """
version: 1
groups:
- name: cold
  match: {type: freezer}
  rules:
  - {alert: TooWarm, expr: temperature, above: -10, severity: critical}
"""


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


def test_all_is_well(gateway: Gateway) -> None:
    gateway.take(birth("f1"), reading("f1", 0), reading("f1", 1, ts=None))
    assert not any(gateway.problems().values())
    assert [row["troubles"] for row in gateway.rows()] == [[]]


@pytest.mark.problem("raises", "device_conflicts")
@pytest.mark.problem("clears", "device_conflicts")
@pytest.mark.parametrize("ended_by", ["birth", "boot", "forget"])
def test_who_uses_numbers_again_is_named_until_it_says_that_it_counts_anew(
    gateway: Gateway, ended_by: str
) -> None:
    gateway.take(birth("f1"), *(reading("f1", seq, ts=START + seq) for seq in range(4)))
    gateway.take(reading("f1", 0, ts=START + 10), reading("f1", 4, ts=START + 11))
    assert gateway.problem("device_conflicts") == (
        "numbers are used twice (1 device): berlin/f1: it uses numbers again, under the same boot, for other readings"
    )
    gateway.restart()
    assert gateway.problem("device_conflicts")
    if ended_by == "birth":
        gateway.take(birth("f1", ts=START + 20), reading("f1", 0, ts=START + 21))
    elif ended_by == "boot":
        gateway.take((topic("f1"), encode_telemetry(2, 0, START + 21, {"temperature": 5.0})))
    else:
        gateway.pipeline.fold(Forget(Moment(START, 0), "f1"))
    assert not gateway.problem("device_conflicts")


@pytest.mark.problem("raises", "devices_unheard")
@pytest.mark.problem("clears", "devices_unheard")
def test_who_sends_json_is_named_at_once_with_what_is_due_and_no_longer_once_it_is_mended(
    gateway: Gateway,
) -> None:
    gateway.take(as_json("f1"), reading("f2", 0))
    assert gateway.problem("devices_unheard") == (
        "messages lead to nothing (1 publisher): berlin/f1: this looks like JSON; expected MessagePack"
    )
    gateway.take(as_json("f1"))
    (row,) = gateway.rows("f1")
    assert row["troubles"] == ["this looks like JSON; expected MessagePack"]
    assert (row["counters"]["received"], row["counters"]["quarantined"], row["last_seen"]) == (2, 2, None)
    assert row.keys() == gateway.rows("f2")[0].keys()
    gateway.restart()
    assert "berlin/f1" in gateway.problem("devices_unheard")
    gateway.take(reading("f1", 0))
    assert gateway.problem("devices_unheard") == ""
    assert [one["device"] for one in gateway.rows()] == ["f2", "f1"]


@pytest.mark.parametrize(
    "publisher", ["f1", "not a name", "x" * 150, "esc\x1b[2J"], ids=["name", "spaces", "long", "control"]
)
def test_every_name_that_is_listed_can_be_forgotten(gateway: Gateway, publisher: str) -> None:
    gateway.take(reading("f2", 0), as_json(publisher))
    (listed,) = [row["device"] for row in gateway.rows() if row["device"] != "f2"]
    strangers = gateway.pipeline.admission.watch.troubles.names()
    asked = forget_input(gateway.pipeline.registry, NOW, {"device": listed}, strangers)
    assert gateway.pipeline.fold(asked).changed, "a replay forgets it too"
    assert [row["device"] for row in gateway.rows()] == ["f2"]
    assert gateway.problem("devices_unheard") == ""


def test_a_retired_device_whose_messages_cannot_be_used_can_be_forgotten(gateway: Gateway) -> None:
    gateway.take(reading("f1", 0))
    gateway.take(*[as_json("f1")] * 3)
    gateway.pipeline.fold(Forget(NOW, "f1", None))
    for hours in range(1, 5):
        gateway.pipeline.fold(Tick(Moment(START + hours * HOUR, hours * HOUR)))
    assert gateway.pipeline.registry.find("f1") is None
    assert [row["device"] for row in gateway.rows()] == ["f1"]
    strangers = gateway.pipeline.admission.watch.troubles.names()
    gateway.pipeline.fold(forget_input(gateway.pipeline.registry, NOW, {"device": "f1"}, strangers))
    assert gateway.rows() == []


def test_one_damaged_message_of_a_good_device_is_no_trouble(gateway: Gateway) -> None:
    gateway.take(
        reading("f1", 0), as_json("f1"), as_json("f1"), reading("f1", 1), as_json("f1"), as_json("f1")
    )
    assert gateway.problem("devices_unheard") == ""
    gateway.take(as_json("f1"))
    assert "berlin/f1: this looks like JSON" in gateway.problem("devices_unheard")


def test_five_are_named_and_the_rest_counted(gateway: Gateway) -> None:
    gateway.take(*(as_json(f"f{number}") for number in range(8)))
    told = gateway.problem("devices_unheard")
    assert told.startswith("messages lead to nothing (8 publishers): ")
    assert told.endswith("; and 3 more")
    assert told.count("berlin/") == 5


@pytest.mark.parametrize("known", [False, True])
def test_microseconds_are_told_from_milliseconds(gateway: Gateway, known: bool) -> None:
    if known:
        gateway.take(reading("f1", 0))
    for seq in (1, 2, 3):
        payload = encode_telemetry(1, seq, START * 1000, {"temperature": 5.0})
        gateway.take((topic("f1"), payload))
    assert (
        "f1: ts 1790000000000000 looks like microseconds; expected milliseconds since 1970"
        in gateway.problem("devices_unheard")
    )


def test_a_name_at_two_sites_is_named_with_both_and_the_first_goes_on(gateway: Gateway) -> None:
    gateway.take(reading("f1", 0), reading("f1", 7, site="munich"), reading("f1", 1))
    assert "munich/f1: it sends at munich, but the name belongs to site berlin" in gateway.problem(
        "devices_unheard"
    )
    assert {row["site"]: bool(row["troubles"]) for row in gateway.rows("f1")} == {
        "berlin": False,
        "munich": True,
    }


def test_a_birth_that_cannot_be_read_is_named(gateway: Gateway) -> None:
    gateway.take(
        (topic("f1", "status"), b'{"state": "online", "type": "freezer"}'),
        *(reading("f1", n) for n in range(5)),
    )
    assert "berlin/f1: birth: this looks like JSON; expected MessagePack" in gateway.problem(
        "devices_unheard"
    )
    gateway.take(birth("f1", next=5))
    assert gateway.problem("devices_unheard") == ""


def test_a_device_without_birth_is_named_where_rules_want_one(gateway: Gateway, tmp_path: Path) -> None:
    gateway.take(*(reading("f1", seq) for seq in range(3)))
    assert gateway.problem("devices_unheard") == ""
    (tmp_path / "rules.yaml").write_text(FREEZERS)
    gateway.pipeline.fold(Reload(Moment(START, 0), load_rules(tmp_path / "rules.yaml").to_plain()))
    assert "berlin/f1: it has sent no birth that can be read: its type is unknown" in gateway.problem(
        "devices_unheard"
    )
    gateway.take(birth("f1", next=3))
    assert gateway.problem("devices_unheard") == ""


def test_a_device_that_repeats_its_numbers_is_named_after_a_while(gateway: Gateway) -> None:
    gateway.take(*(reading("f1", seq, ts=None) for seq in range(10)))
    for _ in range(20):
        gateway.elapsed += MINUTE
        gateway.take(*(reading("f1", seq, ts=None) for seq in range(10)))
    assert "berlin/f1: everything it sends was sent before (boot 1)" in gateway.problem("devices_unheard")
    gateway.take(reading("f1", 10))
    assert gateway.problem("devices_unheard") == ""


def test_a_buffer_sent_again_is_no_trouble(gateway: Gateway) -> None:
    gateway.take(*(reading("f1", seq, ts=None) for seq in range(500)))
    gateway.take(*(reading("f1", seq, ts=None) for seq in range(500)))
    assert gateway.problem("devices_unheard") == ""


class TestClocks:
    @pytest.mark.problem("raises", "device_clocks")
    @pytest.mark.problem("clears", "device_clocks")
    def test_seconds_are_told_from_milliseconds(self, gateway: Gateway) -> None:
        gateway.take(*(reading("f1", seq, START // 1000) for seq in range(3)))
        told = gateway.problem("device_clocks")
        assert "berlin/f1: ts 1790000000 looks like seconds; expected milliseconds since 1970" in told
        assert "its readings get their time of arrival" in told
        gateway.take(reading("f1", 3))
        assert gateway.problem("device_clocks") == ""

    @pytest.mark.parametrize(
        ("ts", "said"),
        [(5_000, "1970-01-01"), (START + DAY, "2026-09-22"), (-(2**60), "-115292150460684")],
    )
    def test_a_clock_that_is_not_believed_is_named(self, gateway: Gateway, ts: int, said: str) -> None:
        gateway.take(*(reading("f1", seq, ts + seq) for seq in range(3)))
        assert f"its clock says {said}" in gateway.problem("device_clocks")

    def test_a_clock_of_years_ago_is_named_with_the_way_out(self, gateway: Gateway) -> None:
        gateway.take(*(reading("f1", seq, YEAR_2021 + seq) for seq in range(3)))
        told = gateway.problem("device_clocks")
        assert "berlin/f1: its readings are of 2021-05-03" in told
        assert "they cause no command" in told
        assert "time.earliest" in told
        assert gateway.rows("f1")[0]["troubles"][0] in told
        gateway.restart()
        assert gateway.problem("device_clocks") == told
        gateway.take(reading("f1", 3))
        assert gateway.problem("device_clocks") == ""

    def test_a_clock_hours_behind_is_told_from_a_buffer(self, gateway: Gateway) -> None:
        for seq in range(62):
            gateway.take(reading("slow", seq, START + gateway.elapsed - 5 * HOUR))
            gateway.take(
                reading("late", seq, min(START - 5 * HOUR + seq * 10 * MINUTE, START + gateway.elapsed))
            )
            gateway.elapsed += MINUTE
        told = gateway.problem("device_clocks")
        assert "berlin/slow" in told
        assert "5h old on arrival" in told
        assert "berlin/late" not in told, "it has sent what it had kept"

    def test_a_weekend_s_buffer_is_no_trouble(self, gateway: Gateway) -> None:
        gateway.take(*(reading("f1", seq, START - 2 * DAY + seq * MINUTE) for seq in range(500)))
        assert gateway.problem("device_clocks") == ""


class TestStrangers:
    def test_invented_names_hide_nobody_who_is_there(self, gateway: Gateway) -> None:
        gateway.take(as_json("real"))
        gateway.take(as_json("real"))
        for number in range(3 * MOST_STRANGERS):
            gateway.take(as_json(f"invented-{number}"))
        troubles = gateway.pipeline.admission.watch.troubles
        assert len(troubles) == MOST_STRANGERS
        assert topic("real") in troubles

    def test_a_name_at_many_sites_takes_few_places(self, gateway: Gateway) -> None:
        for number in range(50):
            gateway.take(as_json("f1", site=f"site-{number}"))
        assert len(gateway.pipeline.admission.watch.troubles) == MOST_A_NAME

    def test_where_all_go_on_a_new_one_waits_and_is_counted(self, gateway: Gateway) -> None:
        crowd = [as_json(f"f{number}") for number in range(MOST_STRANGERS)]
        gateway.take(*crowd, *crowd)
        gateway.take(as_json("late"))
        troubles = gateway.pipeline.admission.watch.troubles
        assert (troubles.left_out, topic("late") in troubles) == (1, False)
        gateway.elapsed += GIVES_WAY
        gateway.take(*crowd[1:])
        gateway.take(as_json("late"))
        assert (topic("late") in troubles, topic("f0") in troubles) == (True, False)

    def test_the_silent_are_forgotten(self, gateway: Gateway) -> None:
        gateway.take(as_json("gone"))
        gateway.elapsed += FORGOTTEN
        gateway.take(as_json("new"))
        assert "gone" not in gateway.problem("devices_unheard")
        assert topic("gone") not in gateway.pipeline.admission.watch.troubles

    def test_what_they_are_called_reaches_no_terminal(self, gateway: Gateway) -> None:
        gateway.take(
            ("fleet/v1/ber\x1b[2Jlin/f\u202e1/telemetry", b"\x1b[31m"), ("fleet/\x07" + "x" * 5_000, b"")
        )
        told = gateway.problem("devices_unheard")
        assert "\x1b" not in told
        assert "\u202e" not in told
        assert "\x07" not in told
        assert len(told) < 800


@pytest.mark.problem("raises", "device_numbering", "births_cut")
@pytest.mark.problem("clears", "device_numbering", "births_cut")
def test_odd_numbers_and_long_births_are_named(gateway: Gateway) -> None:
    gateway.take(birth("f1", next=2**62), birth("f2", tags={f"t{n}": "x" * 128 for n in range(32)}))
    assert "berlin/f1" in gateway.problem("device_numbering")
    assert "berlin/f2" in gateway.problem("births_cut")
    gateway.take(birth("f1", next=5), birth("f2"))
    assert (gateway.problem("device_numbering"), gateway.problem("births_cut")) == ("", "")


@pytest.mark.problem("raises", "device_units")
@pytest.mark.problem("clears", "device_units")
def test_a_unit_that_is_not_the_one_of_the_configuration_is_named(gateway: Gateway) -> None:
    gateway.pipeline = fresh(metrics={"temperature": {"unit": "F"}, "speed": {"unit": "m/s"}})
    celsius = {"temperature": control_messages.MetricInfo(unit="°C"), "speed": control_messages.MetricInfo()}
    gateway.take(birth("f1", metrics=celsius), birth("f2", metrics=celsius), birth("f3"))
    assert gateway.problem("device_units") == (
        "the unit is another one (2 devices): berlin/f1: its birth gives temperature in °C, gateway.yaml in F;"
        " berlin/f2: its birth gives temperature in °C, gateway.yaml in F"
    )
    fahrenheit = {"temperature": control_messages.MetricInfo(unit="F")}
    gateway.take(birth("f1", metrics=fahrenheit), birth("f2"))
    assert not gateway.problem("device_units")


def test_the_unit_of_a_metric_in_the_configuration_is_kept_of_a_long_birth(gateway: Gateway) -> None:
    gateway.pipeline = fresh(metrics={"temperature": {"unit": "F"}})
    gateway.pipeline.fold(Reload(NOW, RuleSet().to_plain()))
    many = {f"m{number:060}": control_messages.MetricInfo(unit="x" * 30) for number in range(200)}
    gateway.take(birth("f1", metrics=many | {"temperature": control_messages.MetricInfo(unit="°C")}))
    assert "temperature in °C" in gateway.problem("device_units")


def test_a_birth_that_found_no_room_is_asked_for_again_once_there_is_some() -> None:
    config = {"mqtt": {"url": "mqtt://localhost"}, "limits": {"devices": 1, "retire_after": "1h"}}
    pipeline = build_pipeline("gw", fold_settings(GatewayConfig.model_validate(config)))

    def take(at: int, device: str, kind: str, payload: bytes) -> bool:
        topic = f"fleet/v1/berlin/{device}/{kind}"
        return pipeline.fold(Batch(Moment(START + at, at), [topic], [payload])).births_wanted

    def reading(seq: int, at: int) -> bytes:
        return encode_telemetry(7, seq, START + at, {"temperature": 1.0})

    birth = control_messages.encode_birth(control_messages.Birth(type="freezer", boot=7, next=0))
    assert not take(0, "first", "telemetry", reading(0, 0))
    assert not take(1, "second", "status", birth)
    assert not take(2, "second", "telemetry", reading(0, 2))
    for step in range(1, 5):
        pipeline.fold(Tick(Moment(START + step * HOUR, step * HOUR)))
    later = 5 * HOUR
    assert take(later, "second", "telemetry", reading(1, later)), "it is let in, and its birth is retained"
    assert not take(later + 1, "second", "telemetry", reading(2, later + 1)), "it is asked for once"
    assert pipeline.registry.find("second") is not None
