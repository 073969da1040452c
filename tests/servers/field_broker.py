"""A real Mosquitto with the shipped field configuration: certificates, users with passwords, the ACL.

Only paths and ports are changed; the certificates are like those docs/deploy.md creates.
"""

import contextlib
import re
import socket
import ssl
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiomqtt

from edge_gateway.mqtt.embedded import find_mosquitto
from tests.servers.process import ServerProcess, accepts, free_port

FILES = Path(__file__).parents[2] / "broker"
PASSWORD = "of-the-tests"
GATEWAY = "edge:gateway"
DEVICES, GATEWAYS = 8883, 8884
MUTUAL = re.compile(r"^#   ((?:cafile|require_certificate|use_identity_as_username) .*)$", re.MULTILINE)
EXAMPLE = re.compile(r"^#   ((?:user|topic) .*)$", re.MULTILINE)
LEAF = ["-addext", "basicConstraints=critical,CA:FALSE"]


def placed(name: str, directory: Path, ports: dict[int, int], places: dict[str, str]) -> Path:
    """Copy a configuration file, with its listeners on these ports and its paths in `directory`."""
    text = (FILES / name).read_text()
    for port, here in ports.items():
        text = re.sub(rf"^listener {port}\b.*$", f"listener {here} 127.0.0.1", text, flags=re.MULTILINE)
    text = re.sub(
        r"^persistence_location .*$", f"persistence_location {directory}/", text, flags=re.MULTILINE
    )
    text = re.sub(r"^log_dest syslog$", "log_dest stderr", text, flags=re.MULTILINE)
    for place, here_too in places.items():
        text = text.replace(place, here_too)
    file = directory / name
    file.write_text(f"user root\n{text}")
    return file


def started(file: Path, port: int) -> ServerProcess:
    process = ServerProcess(
        [str(find_mosquitto()), "-c", str(file)], file.with_suffix(".log"), lambda: accepts("127.0.0.1", port)
    )
    process.start()
    return process


class FieldBroker:
    """A broker running broker/field.conf; `mutual`: devices use certificates instead of passwords."""

    def __init__(self, directory: Path, users: tuple[str, ...], *, mutual: bool = False) -> None:
        self.directory = directory
        self.ports = {DEVICES: free_port(), GATEWAYS: free_port()}
        _certificate(directory, "ca", "CA of the tests")
        self.issue("broker", "localhost", "-addext", "subjectAltName=DNS:localhost")
        _certificate(directory, "gateway", GATEWAY, *LEAF)
        passwords = directory / "passwords"
        passwords.write_text("".join(f"{user}:{PASSWORD}\n" for user in users))
        subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True)
        rights = (FILES / "field.acl").read_text()
        (directory / "field.acl").write_text(EXAMPLE.sub(r"\1", rights))
        places = {
            "/etc/mosquitto/certs": str(directory),
            "/etc/mosquitto/limits": str(FILES / "limits"),
            "/etc/mosquitto": str(directory),
        }
        file = placed("field.conf", directory, self.ports, places)
        if mutual:
            file.write_text(MUTUAL.sub(r"\1", file.read_text()))
        self.process = started(file, self.ports[GATEWAYS])

    def issue(self, name: str, subject: str, *more: str) -> None:
        """Sign a certificate of this subject by the fleet's CA."""
        by = ["-CA", str(self.directory / "ca.crt"), "-CAkey", str(self.directory / "ca.key")]
        _certificate(self.directory, name, subject, *LEAF, *by, *more)

    @property
    def gateway_section(self) -> dict[str, Any]:
        """Return the `mqtt` section of a gateway at this broker."""
        files = {"ca": "ca.crt", "cert": "gateway.crt", "key": "gateway.key"}
        url = f"mqtts://localhost:{self.ports[GATEWAYS]}"
        return {"url": url, **{key: str(self.directory / name) for key, name in files.items()}}

    def tls(self, certificate: str | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.directory / "ca.crt"))
        if certificate is not None:
            context.load_cert_chain(
                self.directory / f"{certificate}.crt", self.directory / f"{certificate}.key"
            )
        return context

    def client(
        self,
        user: str | None,
        password: str = PASSWORD,
        *,
        port: int | None = None,
        certificate: str | None = None,
        **options: Any,
    ) -> aiomqtt.Client:
        """Open a client that is not the product's; with `gateway` it connects as the gateway, by certificate."""
        if user == "gateway":
            user, port, certificate = None, GATEWAYS, "gateway"
        return aiomqtt.Client(
            "localhost",
            self.ports[port or DEVICES],
            username=user,
            password=password if user else None,
            tls_context=self.tls(certificate),
            protocol=aiomqtt.ProtocolVersion.V5,
            timeout=options.pop("timeout", 30),
            **options,
        )

    def answer(
        self, user: str | None, identifier: str, *, port: int = DEVICES, certificate: str | None = None
    ) -> bytes:
        """Return the answer to a CONNECT with a clean start; empty if the broker closes the connection."""
        try:
            with self._link(port, certificate) as link:
                link.sendall(_connect(user, identifier))
                return link.recv(100)
        except (ssl.SSLError, ConnectionError):
            return b""

    def die(self, user: str, topic: str, words: bytes, *, retain: bool = False) -> None:
        """Connect with a will, drop the connection, and wait until the broker has noticed."""
        if user == "gateway":
            port, certificate, login = GATEWAYS, "gateway", None
        else:
            port, certificate, login = DEVICES, None, user
        with self._link(port, certificate) as link:
            link.sendall(_connect(login, "mortal", will=(topic, words), retain=retain))
            assert link.recv(100)[3] == 0, "CONNACK says yes"
            link.shutdown(socket.SHUT_WR)  # of TCP, without a word of TLS or MQTT
            while link.recv(100):
                pass

    @contextlib.contextmanager
    def _link(self, port: int, certificate: str | None) -> Iterator[ssl.SSLSocket]:
        with (
            socket.create_connection(("localhost", self.ports[port]), timeout=60) as plain,
            self.tls(certificate).wrap_socket(plain, server_hostname="localhost") as link,
        ):
            yield link


def _connect(
    user: str | None, identifier: str, *, will: tuple[str, bytes] | None = None, retain: bool = False
) -> bytes:
    """Return an MQTT 5 CONNECT with a clean start; a will has QoS 1."""
    flags = 0x02 | (0x0C if will else 0) | (0x20 if retain else 0) | (0xC0 if user else 0)
    body = _sized(b"MQTT") + bytes([5, flags, 0, 60, 0]) + _sized(identifier.encode())
    if will:
        body += b"\0" + _sized(will[0].encode()) + _sized(will[1])
    if user:
        body += _sized(user.encode()) + _sized(PASSWORD.encode())
    assert len(body) < 0x4000
    low, high = len(body) & 0x7F, len(body) >> 7
    return bytes([0x10, *([low | 0x80, high] if high else [low])]) + body


def _sized(raw: bytes) -> bytes:
    return struct.pack(">H", len(raw)) + raw


def _certificate(directory: Path, name: str, subject: str, *more: str) -> None:
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    files = ["-keyout", str(directory / f"{name}.key"), "-out", str(directory / f"{name}.crt")]
    command = ["openssl", "req", "-x509", *kind, "-subj", f"/CN={subject}", *files, *more]
    subprocess.run(command, check=True, capture_output=True)
