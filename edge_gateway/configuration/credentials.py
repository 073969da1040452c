"""Passwords, tokens and certificates in use: files, which somebody replaces while the gateway runs.

file ─▶ read at each use ─┬─ good ──────▶ in use from now on
                          └─ unusable ──▶ the one before stays in use, and is told by name

A connection that stands is not broken off for a new certificate: neither side looks at it again before the next one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from edge_gateway.configuration.model import GatewayConfig, MqttSection
from edge_gateway.configuration.secrets import Secret
from edge_gateway.errors import BadInput
from fleet_wire.printable import printable

V = TypeVar("V")

REFRESH_EVERY = 10.0
"""Seconds between two looks at everything, so that a bad file is told before it is needed."""
POLL_EVERY = 1.0
"""Seconds between two looks at a secret that something waits for."""
NO_PASSPHRASE = ""
"""Without one OpenSSL asks at the terminal for that of an encrypted key, and the gateway would stand still."""


def tls_context(mqtt: MqttSection) -> ssl.SSLContext | None:
    """What mqtts:// needs; None for mqtt://. BadInput when a file cannot be used."""
    if not mqtt.tls:
        return None
    for file in (mqtt.ca, mqtt.cert, mqtt.key):
        if file is not None and file.exists() and not file.is_file():  # a FIFO would be waited for
            raise BadInput(
                f"the TLS files of 'mqtt' cannot be used: {file} is no file; check ca, cert and key"
            )
    try:
        context = ssl.create_default_context(cafile=str(mqtt.ca) if mqtt.ca else None)
        if mqtt.cert and mqtt.key:
            context.load_cert_chain(mqtt.cert, mqtt.key, NO_PASSPHRASE)
    except (OSError, ssl.SSLError) as error:
        raise BadInput(f"the TLS files of 'mqtt' cannot be used: {error}; check ca, cert and key") from error
    return context


@dataclass(slots=True)
class Credential(Generic[V]):
    """One thing read from files. `read` raises BadInput; `told` gets each fault, empty where there is none."""

    name: str
    read: Callable[[], V]
    told: Callable[[str, str], None]
    files: Sequence[Path] = ()
    """Where reading costs much: the files that a look without a use compares first."""
    _value: list[V] = field(default_factory=list)
    _seen: object = None

    def now(self) -> V:
        """As the files say now, or as they last said. BadInput: they never were of use."""
        seen = [_fingerprint(path) for path in self.files]
        try:
            self._value = [self.read()]
        except BadInput as error:
            if not self._value:
                raise
            self.told(self.name, str(error))
        else:
            self.told(self.name, "")
        self._seen = seen
        return self._value[0]

    def refresh(self) -> None:
        """Take in what was replaced; nothing happens before the first use."""
        if self._value and (not self.files or self._seen != [_fingerprint(path) for path in self.files]):
            self.now()


def _fingerprint(path: Path) -> tuple[int, int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino


class Credentials:
    """What the gateway proves its identity with. `changed` is called when a fault begins or ends."""

    def __init__(self, config: GatewayConfig, changed: Callable[[], None] = lambda: None) -> None:
        mqtt, influx = config.mqtt, config.influx
        files = [path for path in (mqtt.ca, mqtt.cert, mqtt.key) if path is not None]
        self.changed = changed
        self.password = Credential("mqtt.password", lambda: _text(mqtt.password), self._told)
        self.tls = Credential("mqtt.ca, cert, key", lambda: tls_context(mqtt), self._told, files)
        self.token = Credential(
            "influx.token", lambda: _text(influx.token if influx else None) or "", self._told
        )
        self._faults: dict[str, str] = {}

    @property
    def fault(self) -> str:
        """What cannot be used, by name; empty where all is well."""
        told = [f"{name}: {why}" for name, why in sorted(self._faults.items())]
        return f"{'; '.join(told)}; what was read before stays in use" if told else ""

    def _told(self, name: str, why: str) -> None:
        before = self._faults.pop(name, "")
        if why:
            self._faults[name] = printable(why)
        if self._faults.get(name, "") != before:
            self.changed()

    async def watch(self) -> None:
        """Look at everything now and then, until cancelled."""
        while True:
            await asyncio.sleep(REFRESH_EVERY)
            for credential in (self.password, self.tls, self.token):
                credential.refresh()

    async def rest(self, seconds: float) -> None:
        """Wait so long, or until the token is another: who was refused with the old one need not wait."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._token_replaced()

    async def _token_replaced(self) -> None:
        before = self.token.now()
        while True:
            await asyncio.sleep(POLL_EVERY)
            if self.token.now() != before:
                return


def _text(secret: Secret | None) -> str | None:
    return None if secret is None else secret.read()
