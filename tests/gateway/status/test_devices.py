"""A device is listed with everything that is wrong with it."""

from __future__ import annotations

from tests.gateway.status.fed_gateway import YEAR_2021, Gateway, as_json, birth, fresh, reading, topic


def test_a_device_with_several_troubles_tells_all_of_them_the_worst_first() -> None:
    gateway = Gateway()
    gateway.pipeline = fresh(metrics={"temperature": {"unit": "°C"}, "humidity": {"unit": "%"}})
    units = {"temperature": {"unit": "°F"}, "humidity": {"unit": "g/m3"}}
    gateway.take(birth("f1", metrics=units), (topic("f1", "status"), b"{}"))
    gateway.take(*(reading("f1", seq, YEAR_2021 + seq) for seq in range(3)), *[as_json("f1")] * 3)
    (row,) = gateway.rows("f1")
    told = [trouble[:22] for trouble in row["troubles"]]
    assert told == [
        "this looks like JSON; ",
        "birth: this looks like",
        "its readings are of 20",
        "its birth gives humidi",
        "its birth gives temper",
    ]
    assert "berlin/f1: birth" in gateway.problem("devices_unheard"), "the trouble that came first"
    assert "birth gives humidity in g/m3, gateway.yaml in %" in gateway.problem("device_units")


def test_a_publisher_that_is_no_device_tells_of_each_kind_of_its_messages() -> None:
    gateway = Gateway()
    gateway.take((topic("not a name", "status"), b"{}"), as_json("not a name"), as_json("not a name"))
    (row,) = gateway.rows("not a name")
    assert [trouble.partition(" ")[0] for trouble in row["troubles"]] == ["this", "birth:"]
    assert row["counters"]["quarantined"] == 2
