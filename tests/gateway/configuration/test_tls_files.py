"""TLS files that would be waited for are told instead: a gateway connects anew without a person beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_gateway.configuration.credentials import tls_context
from edge_gateway.configuration.model import MqttSection
from edge_gateway.errors import BadInput


@pytest.mark.parametrize("key", ["ca", "cert", "key"])
def test_a_fifo_is_not_waited_for(tmp_path: Path, key: str) -> None:
    os.mkfifo(tmp_path / "x.pem")
    given = {"cert": "/etc/hostname", "key": "/etc/hostname"} if key != "ca" else {}
    mqtt = MqttSection.model_validate(
        {"url": "mqtts://h", **{name: Path(path) for name, path in given.items()}, key: tmp_path / "x.pem"}
    )
    with pytest.raises(BadInput, match=rf"cannot be used: {key}: .*x\.pem: is not a regular file"):
        tls_context(mqtt)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the key")
def test_the_passphrase_of_a_key_is_not_asked_for(tmp_path: Path) -> None:
    cert, key = tmp_path / "c.pem", tmp_path / "k.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-subj", "/CN=x", "-days", "2"]
    made += ["-keyout", str(key), "-out", str(cert), "-passout", "pass:hunter2"]
    subprocess.run(made, check=True, capture_output=True)
    mqtt = MqttSection.model_validate({"url": "mqtts://h", "cert": cert, "key": key})
    with pytest.raises(BadInput, match="the TLS files of 'mqtt' cannot be used"):
        tls_context(mqtt)
