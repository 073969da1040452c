"""Every message of the contract beside its bytes, written by hand: the encoders and decoders must agree with them."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fleet_wire import control_messages, telemetry

_VECTORS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("vectors.json").read_text())["vectors"]
_ENCODED = [vector for vector in _VECTORS if vector.get("canonical")]
_READABLE = [vector for vector in _VECTORS if "message" in vector]
_REFUSED = [vector for vector in _VECTORS if "refused" in vector]


def _bytes(notation: str) -> bytes:
    tokens = re.findall(r"'[^']*'|[0-9a-f]+", notation)
    return b"".join(token[1:-1].encode() if token[0] == "'" else bytes.fromhex(token) for token in tokens)


def _encode_telemetry(message: dict[str, Any]) -> bytes:
    fields = {key: value for key, value in message.items() if key != "v"}
    return telemetry.encode_telemetry(**fields)


def _encode_status(message: dict[str, Any]) -> bytes:
    fields = {key: value for key, value in message.items() if key != "state"}
    if message["state"] == "offline":
        return control_messages.encode_death(control_messages.Death(**fields))
    metrics = {name: control_messages.MetricInfo(**info) for name, info in fields.pop("metrics").items()}
    return control_messages.encode_birth(control_messages.Birth(**fields, metrics=metrics))


def _alert(message: dict[str, Any]) -> control_messages.Alert:
    return control_messages.Alert(**{**message, "suppressed": tuple(message["suppressed"])})


def _encode_command(message: dict[str, Any]) -> bytes:
    alert = _alert(message["alert"]) if message["alert"] else None
    return control_messages.encode_command(control_messages.Command(**{**message, "alert": alert}))


_DECODERS: dict[str, Callable[[bytes], Any]] = {
    "telemetry": telemetry.decode_telemetry,
    "status": control_messages.decode_status,
    "command": control_messages.decode_command,
    "ack": control_messages.decode_ack,
    "alert": control_messages.decode_alert,
    "receipt": control_messages.decode_receipt,
    "request": control_messages.decode_operator_request,
    "reply": control_messages.decode_operator_reply,
    "gateway_status": control_messages.decode_gateway_status,
}
_ENCODERS: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "telemetry": _encode_telemetry,
    "status": _encode_status,
    "command": _encode_command,
    "ack": lambda message: control_messages.encode_ack(control_messages.Ack(**message)),
    "alert": lambda message: control_messages.encode_alert(_alert(message)),
    "receipt": lambda message: control_messages.encode_receipt(
        msgspec.convert(message, control_messages.Receipt)
    ),
    "request": lambda message: control_messages.encode_operator_request(
        control_messages.OperatorRequest(**message)
    ),
    "reply": lambda message: control_messages.encode_operator_reply(
        control_messages.OperatorReply(**message)
    ),
    "gateway_status": control_messages.encode_gateway_status,
}


def _name(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def _as_read(message: Any) -> Any:
    """Give all fields of a decoded record, defaults included, as JSON would hold them."""
    if isinstance(message, msgspec.Struct):
        names = zip(message.__struct_fields__, message.__struct_encode_fields__, strict=True)
        fields = {key: _as_read(getattr(message, name)) for name, key in names}
        tag = message.__struct_config__.tag
        return fields if tag is None else {"state": tag, **fields}
    if isinstance(message, dict):
        return {key: _as_read(value) for key, value in message.items()}
    if isinstance(message, list | tuple):
        return [_as_read(value) for value in message]
    return message


@pytest.mark.parametrize("vector", _READABLE, ids=_name)
def test_bytes_are_read_as_the_message(vector: dict[str, Any]) -> None:
    assert _as_read(_DECODERS[vector["kind"]](_bytes(vector["bytes"]))) == vector["message"]


@pytest.mark.parametrize("vector", _ENCODED, ids=_name)
def test_the_message_is_written_as_the_bytes(vector: dict[str, Any]) -> None:
    written = _ENCODERS[vector["kind"]](vector["message"])
    assert written.hex(" ") == _bytes(vector["bytes"]).hex(" ")


@pytest.mark.parametrize("vector", _REFUSED, ids=_name)
def test_bytes_that_are_not_a_message_are_refused_with_the_reason(vector: dict[str, Any]) -> None:
    with pytest.raises(telemetry.MalformedMessage, match=re.escape(vector["refused"])):
        _DECODERS[vector["kind"]](_bytes(vector["bytes"]))


def test_every_kind_of_message_has_vectors_of_both_sorts() -> None:
    assert (
        {vector["kind"] for vector in _ENCODED} == set(_DECODERS) == {vector["kind"] for vector in _REFUSED}
    )
