"""The gateway's id: as configured, or of the hardware."""

from pathlib import Path

import pytest

from edge_gateway.configuration.gateway_id import client_id, resolve
from edge_gateway.errors import BadInput


def test_a_configured_id_is_used_as_it_is() -> None:
    assert resolve("berlin-1", ()) == "berlin-1"


@pytest.mark.parametrize(
    ("serial", "machine", "found"),
    [
        ("10000000abcdef01\0", "f" * 32, "10000000abcdef01"),
        (None, "0123456789abcdef0123456789abcdef\n", "0123456789abcdef"),
        ("", "0a", "0a"),
        ("no level / at all", "0a", "0a"),
    ],
)
def test_auto_takes_the_end_of_the_first_that_can_be_a_topic_level(
    tmp_path: Path, serial: str | None, machine: str, found: str
) -> None:
    places = (tmp_path / "serial", tmp_path / "machine")
    if serial is not None:
        places[0].write_text(serial)
    places[1].write_text(machine)
    assert resolve("auto", places) == found


def test_a_machine_without_either_needs_a_configured_id(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"set gateway\.id"):
        resolve("auto", (tmp_path / "serial", tmp_path / "machine"))


def test_a_client_id_is_none_that_a_device_can_have() -> None:
    assert client_id("berlin-1", "control") == "edge:berlin-1:control"
