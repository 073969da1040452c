"""What is read again while the gateway runs, and what stays in use when it cannot be read."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
from pathlib import Path

import pytest

from edge_gateway.configuration import credentials
from edge_gateway.configuration.credentials import Credentials, tls_context
from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.configuration.secrets import Secret
from edge_gateway.errors import BadInput


class Place:
    """A gateway's files, and the credentials that are read from them."""

    def __init__(self, directory: Path) -> None:
        self.password, self.token = directory / "password", directory / "token"
        self.ca, self.cert, self.key = (directory / name for name in ("ca", "cert", "key"))
        self.password.write_text("secret-1\n")
        self.token.write_text("token-1\n")
        self.config = GatewayConfig.model_validate(
            {
                "mqtt": {
                    "url": "mqtts://localhost",
                    "user": "gw",
                    "password": f"file:{self.password}",
                    **{name: str(directory / name) for name in ("ca", "cert", "key")},
                },
                "influx": {"url": "http://localhost", "org": "o", "token": f"file:{self.token}"},
            }
        )
        self.changes = 0
        self.credentials = Credentials(self.config, self._changed)

    def _changed(self) -> None:
        self.changes += 1

    def certify(self, *, passphrase: str = "") -> None:
        """A certificate of its own CA, and its key."""
        locked = ["-passout", f"pass:{passphrase}"] if passphrase else ["-nodes"]
        request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-days", "2", "-subj", "/CN=gw", *locked]
        subprocess.run([*request, "-keyout", self.key, "-out", self.cert], check=True, capture_output=True)
        self.ca.write_bytes(self.cert.read_bytes())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_secret_that_is_replaced_is_used_at_once(place: Place) -> None:
    assert place.credentials.password.now() == "secret-1"
    place.password.write_text("secret-2")
    assert place.credentials.password.now() == "secret-2"
    assert (place.credentials.fault, place.changes) == ("", 0)


UNUSABLE = {
    "empty": b"",
    "a line end": b"\r\n",
    "blanks": b"  \t ",
    "no text": b"\xff\xfe",
    "two lines": b"half\nhalf",
    "a control": b"secret\x00",
    "too long": b"x" * 70_000,
}


@pytest.mark.parametrize("content", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_what_cannot_be_a_secret_leaves_the_one_before_in_use(place: Place, content: bytes) -> None:
    kept = place.credentials.token
    with pytest.raises(BadInput):
        _read_first(place, content)
    place.token.write_text("token-1")
    assert kept.now() == "token-1"
    place.token.write_bytes(content)
    assert kept.now() == "token-1"
    assert "influx.token" in place.credentials.fault
    assert str(place.token) in place.credentials.fault
    assert "token-1" not in place.credentials.fault
    kept.now()
    assert place.changes == 1, "told once"
    place.token.write_text("token-2")
    assert kept.now() == "token-2"
    assert (place.credentials.fault, place.changes) == ("", 2)


def _read_first(place: Place, content: bytes) -> None:
    """At a start there is none before, and the gateway does not begin."""
    place.token.write_bytes(content)
    Credentials(place.config).token.now()


def test_a_file_that_is_gone_or_a_directory_is_told(place: Place) -> None:
    place.credentials.password.now()
    place.password.unlink()
    assert place.credentials.password.now() == "secret-1"
    assert "no such file" in place.credentials.fault.lower()
    place.password.mkdir()
    assert place.credentials.password.now() == "secret-1"
    assert "directory" in place.credentials.fault


def test_certificates_are_used_when_they_fit_together(place: Place) -> None:
    place.certify()
    first = place.credentials.tls.now()
    assert isinstance(first, ssl.SSLContext)
    key = place.key.read_bytes()
    place.certify()
    fitting, place_key = place.key.read_bytes(), place.key
    place_key.write_bytes(key)
    assert place.credentials.tls.now() is first
    assert "mqtt.ca, cert, key" in place.credentials.fault
    place_key.write_bytes(fitting[:100])
    assert place.credentials.tls.now() is first
    place_key.write_bytes(fitting)
    assert place.credentials.tls.now() is not first
    assert not place.credentials.fault


def test_an_encrypted_key_asks_nobody_for_its_passphrase(place: Place) -> None:
    """OpenSSL would ask at the terminal, and the gateway would stand still."""
    place.certify(passphrase="hidden")
    with pytest.raises(BadInput, match=r"key: .* or one with a passphrase"):
        tls_context(place.config.mqtt)


def test_a_look_reads_certificates_only_when_their_files_changed(place: Place) -> None:
    tls = place.credentials.tls
    tls.refresh()
    assert not tls._value, "nothing is read before it is needed"
    place.certify()
    first = tls.now()
    tls.refresh()
    assert tls._value == [first]
    place.ca.write_bytes(b"")
    tls.refresh()
    assert place.credentials.fault
    assert tls.now() is first
    place.ca.unlink()
    tls.refresh()
    assert "no such file" in place.credentials.fault.lower()


async def test_what_cannot_be_used_is_told_before_it_is_needed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "REFRESH_EVERY", 0.01)
    told = asyncio.Event()
    place.credentials.changed = told.set
    place.credentials.password.now()
    os.truncate(place.password, 0)
    watching = asyncio.create_task(place.credentials.watch())
    await asyncio.wait_for(told.wait(), 60)
    assert "mqtt.password" in place.credentials.fault
    watching.cancel()


async def test_who_was_refused_does_not_rest_longer_than_until_there_is_another_token(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "POLL_EVERY", 0.01)
    resting = asyncio.create_task(place.credentials.rest(3_600))
    await asyncio.sleep(0)
    assert not resting.done()
    place.token.write_text("token-2")
    await asyncio.wait_for(resting, 60)
    began = asyncio.get_running_loop().time()
    await asyncio.wait_for(place.credentials.rest(0.02), 60)
    assert asyncio.get_running_loop().time() - began >= 0.02, "with the same token it rests its time"


def test_a_secret_in_the_environment_is_checked_too() -> None:
    with pytest.raises(BadInput, match="env:TOKEN is empty"):
        Secret("env", "TOKEN").read({"TOKEN": ""})
