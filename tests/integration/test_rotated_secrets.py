"""Passwords, certificates and tokens are replaced while the gateway runs: it uses the new ones by itself."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BrokerFactory
from tests.integration.conftest import GatewayFactory
from tests.integration.field import assert_quiet, settled
from tests.integration.stranger import Client5, Device
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway
from tests.servers.influx import Influx
from tests.servers.process import free_port

pytestmark = pytest.mark.broker


def problem(report: dict[str, Any], code: str) -> str:
    return next((str(one["text"]) for one in report["problems"] if one["code"] == code), "")


class Guarded:
    """A broker with a protected listener, and an open one for the test's devices."""

    def __init__(self, make: BrokerFactory) -> None:
        self.broker: Broker = make()
        self.plain = free_port()

    def require(self, *lines: str) -> None:
        """Protect the listener with these lines, from the next start on."""
        own = [f"listener {self.broker.port} {self.broker.host}", "allow_anonymous false", *lines]
        plain = [f"listener {self.plain} {self.broker.host}", "allow_anonymous true"]
        text = self.broker.configuration.read_text().split("listener ")[0]
        self.broker.configuration.write_text(
            "\n".join(["per_listener_settings true", text, *own, *plain]) + "\n"
        )

    def device(self, name: str) -> Device:
        return Device(self.broker.host, self.plain, f"{name}-site", f"{name}-device")


def measured(gateway: Gateway, count: int) -> dict[str, Any]:
    return gateway.wait_for(lambda report: report["messages"]["new"] == count and settled(report))


def heard_again(guarded: Guarded, gateway: Gateway, name: str) -> None:
    """Wait until the control connection is back too: its status is retained, and nothing waits to be sent."""
    started = gateway.ask(do="status")["started"]
    with Client5(guarded.broker.host, guarded.plain, f"{name}-watch", f"edge/v1/{name}/status") as watch:
        watch.wait_for(lambda one: one.body["state"] == "online" and one.body["started"] == started, 60)
    gateway.wait_for(lambda report: report["broker"]["outgoing"] == 0)


def test_a_password_that_is_replaced_is_used_by_both_connections(
    broker_factory: BrokerFactory, gateways: GatewayFactory
) -> None:
    guarded = Guarded(broker_factory)
    broker, passwords = guarded.broker, guarded.broker.directory / "passwords"

    def allow(password: str) -> None:
        subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "gateway", password], check=True)

    allow("first")
    guarded.require(f"password_file {passwords}")
    broker.restart()
    name = "gw-password-moves"
    gateway = gateways(broker, name)
    secret = gateway.directory / "secret"
    secret.write_text("first\n")
    gateway.reconfigure(mqtt={"url": broker.url, "user": "gateway", "password": f"file:{secret}"})
    gateway.start()
    with guarded.device(name) as device:
        device.be_born()
        device.measure(temperature=1.0)
        measured(gateway, 1)
    allow("second")
    secret.write_text("")
    broker.restart()
    gateway.wait_for(lambda report: "password" in problem(report, "broker"))
    report = gateway.wait_for(lambda report: bool(problem(report, "secrets")))
    assert "mqtt.password" in problem(report, "secrets")
    assert "empty" in problem(report, "secrets")
    secret.unlink()
    gateway.wait_for(lambda report: "no such file" in problem(report, "secrets").lower())
    with guarded.device(name) as device:
        device.seq = 1
        device.measure(temperature=2.0)
    secret.write_text("second\n")
    report = measured(gateway, 2)
    heard_again(guarded, gateway, name)
    gateway.wait_for(lambda report: not report["problems"])
    assert "second" not in gateway.words()
    assert_quiet(gateway)


def certified(directory: Path, name: str) -> None:
    """A CA, a server's certificate and a client's, all of this name."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name} CA",
         "-keyout", directory / f"{name}-ca.key", "-out", directory / f"{name}-ca.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    (directory / "san").write_text("subjectAltName=DNS:localhost\n")
    for whom in ("localhost", "gateway"):
        place = directory / f"{name}-{whom}"
        subprocess.run(
            ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={whom}",
             "-keyout", f"{place}.key", "-out", f"{place}.csr"],
            check=True, capture_output=True,
        )  # fmt: skip
        subprocess.run(
            ["openssl", "x509", "-req", "-in", f"{place}.csr", "-CA", directory / f"{name}-ca.crt",
             "-CAkey", directory / f"{name}-ca.key", "-CAcreateserial", "-days", "2",
             "-extfile", directory / "san", "-out", f"{place}.crt"],
            check=True, capture_output=True,
        )  # fmt: skip


def test_certificates_replaced_one_by_one_are_used_once_they_match(
    broker_factory: BrokerFactory, gateways: GatewayFactory, tmp_path: Path
) -> None:
    guarded = Guarded(broker_factory)
    broker = guarded.broker
    for name in ("old", "new"):
        certified(tmp_path, name)

    def serve(which: str) -> None:
        files = {
            "cafile": f"{which}-ca.crt",
            "certfile": f"{which}-localhost.crt",
            "keyfile": f"{which}-localhost.key",
        }
        lines = [f"{key} {tmp_path / file}" for key, file in files.items()]
        guarded.require(*lines, "require_certificate true", "use_identity_as_username true")
        broker.restart()

    def install(which: str, *parts: str) -> None:
        sources = {"ca.crt": "ca.crt", "gw.crt": "gateway.crt", "gw.key": "gateway.key"}
        for part in parts:
            (gateway.directory / part).write_bytes((tmp_path / f"{which}-{sources[part]}").read_bytes())

    name = "gw-tls-moves"
    gateway = gateways(broker, name)
    install("old", "ca.crt", "gw.crt", "gw.key")
    places = {"ca": "ca.crt", "cert": "gw.crt", "key": "gw.key"}
    files = {key: str(gateway.directory / file) for key, file in places.items()}
    gateway.reconfigure(mqtt={"url": f"mqtts://localhost:{broker.port}", **files})
    serve("old")
    gateway.start()
    with guarded.device(name) as device:
        device.measure(temperature=1.0)
        measured(gateway, 1)
    install("new", "gw.crt")
    serve("new")
    report = gateway.wait_for(lambda report: bool(problem(report, "secrets") and problem(report, "broker")))
    assert "mqtt.ca, cert, key" in problem(report, "secrets")
    (gateway.directory / "ca.crt").write_bytes(b"")
    with guarded.device(name) as device:
        device.seq = 1
        device.measure(temperature=2.0)
    install("new", "gw.key", "ca.crt")
    measured(gateway, 2)
    heard_again(guarded, gateway, name)
    gateway.wait_for(lambda report: not report["problems"])
    assert_quiet(gateway)


@pytest.mark.influx
def test_a_token_that_is_revoked_and_replaced_loses_no_point(
    broker: Broker, gateways: GatewayFactory, influx: Influx
) -> None:
    bucket, name = influx.fresh_bucket(), "gw-token-moves"

    def new_token() -> tuple[str, str]:
        org = influx.call("GET", f"/api/v2/orgs?org={influx.org}")["orgs"][0]["id"]
        may = [
            {"action": action, "resource": {"type": "buckets", "orgID": org}} for action in ("read", "write")
        ]
        made = influx.call("POST", "/api/v2/authorizations", {"orgID": org, "permissions": may})
        return made["id"], made["token"]

    def counted() -> int:
        rows = influx.query(
            f'from(bucket: "{bucket}") |> range(start: -1d)'
            f' |> filter(fn: (r) => r._measurement == "sensor" and r._field == "count")'
            f' |> filter(fn: (r) => r.device == "{name}-device") |> group() |> sum()'
        )
        return int(rows[0]["_value"]) if rows else 0

    first, token = new_token()
    gateway = gateways(broker, name, windows=[{"every": "2s", "bucket": bucket, "keep": "30d"}])
    file = gateway.directory / "token"
    file.write_text(token)
    gateway.reconfigure(influx={"url": influx.url, "org": influx.org, "token": f"file:{file}"})
    gateway.start()
    with Device(broker.host, broker.port, f"{name}-site", f"{name}-device") as device:
        device.measure(temperature=1.0)
        gateway.wait_for(lambda _: counted() == 1)
        influx.call("DELETE", f"/api/v2/authorizations/{first}")
        device.measure(temperature=2.0)
        gateway.wait_for(lambda report: "401" in problem(report, "sink_influx"))
        file.write_text("two\nlines")
        report = gateway.wait_for(lambda report: bool(problem(report, "secrets")))
        assert "influx.token" in problem(report, "secrets")
        device.measure(temperature=3.0)
        file.write_text(new_token()[1])
        gateway.wait_for(lambda _: counted() == 3)
    report = gateway.wait_for(lambda report: not report["problems"])
    assert report["sinks"]["influx"]["refused_lines"] == 0
    assert token not in gateway.words()
    assert_quiet(gateway)
