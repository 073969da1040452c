"""The keys and the example messages of docs/delivery.md are those of the wire."""

import re
from pathlib import Path
from typing import get_args

import msgspec

from fleet_wire.control_messages import Alert, AlertCause, AlertEvent, Birth, decode_status
from fleet_wire.telemetry import Telemetry, decode_telemetry

PAGE = Path(__file__).parents[1] / "docs" / "delivery.md"


def keys_on_page(page: str, what: str, *, whole: bool = False) -> set[str]:
    """The keys in the first column of the table below a comment; `whole`: `what` is the comment's whole text."""
    _, _, below = page.partition(f"<!-- {what if whole else f'keys of {what}'} -->\n")
    table = below.partition("\n\n")[0].splitlines()[2:]
    return {key for row in table for key in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_the_keys_of_a_device_s_messages_are_those_of_the_wire() -> None:
    page = PAGE.read_text()
    assert keys_on_page(page, "telemetry") == set(Telemetry.__struct_fields__)
    assert keys_on_page(page, "a birth") == {"state", *Birth.__struct_fields__}


def test_the_keys_events_and_causes_of_an_alert_are_those_of_the_wire() -> None:
    page = PAGE.read_text()
    assert keys_on_page(page, "an alert") == set(Alert.__struct_fields__)
    assert keys_on_page(page, "events of an alert", whole=True) == set(get_args(AlertEvent))
    assert keys_on_page(page, "causes of an alert", whole=True) == set(get_args(AlertCause))


def test_the_messages_on_the_page_are_accepted() -> None:
    [example] = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    said: dict[str, dict[str, object]] = {}
    exec(example, said)
    telemetry = decode_telemetry(msgspec.msgpack.encode(said["telemetry"]))
    assert {name: getattr(telemetry, name) for name in ("boot", "seq", "ts", "m", "q")} == {
        name: said["telemetry"][name] for name in ("boot", "seq", "ts", "m", "q")
    }
    assert telemetry.s == [(500, {"temperature": -18.1})]
    birth = decode_status(msgspec.msgpack.encode(said["birth"]))
    assert isinstance(birth, Birth)
    assert msgspec.to_builtins(birth) | {"next": 0, "floor": 0} == said["birth"]
