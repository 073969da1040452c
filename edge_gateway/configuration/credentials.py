"""Passwords, tokens and certificates, whose files may be replaced while the gateway runs.

file ─▶ read at each use ─┬─ good ──────▶ in use from now on
                          └─ unusable ──▶ the previous one stays in use; the fault is reported by name

An open connection is not closed for a new certificate: neither side checks it again before the next handshake.
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
from fleet_wire import tls_files
from fleet_wire.printable import printable

V = TypeVar("V")

REFRESH_EVERY = 10.0
"""Seconds between two reads of everything, so that a bad file is reported before it is needed."""
POLL_EVERY = 1.0
"""Seconds between two reads of a token whose replacement is awaited."""


def tls_context(mqtt: MqttSection) -> ssl.SSLContext | None:
    """Return the TLS context for mqtts://, None for mqtt://; BadInput when a file cannot be used."""
    if not mqtt.tls:
        return None
    try:
        return tls_files.tls_context(mqtt.ca, mqtt.cert, mqtt.key)
    except tls_files.BadTlsFile as problem:
        raise BadInput(f"the TLS files of 'mqtt' cannot be used: {problem.which}: {problem}") from None


@dataclass(slots=True)
class Credential(Generic[V]):
    """One secret or TLS context, read from files.

    Attributes:
        name: its configuration keys, for reports.
        read: reads it; raises BadInput when it cannot be used.
        report: called after each read with the name and the fault, empty for none.
        files: where reading is costly, the files that `refresh` compares first.
    """

    name: str
    read: Callable[[], V]
    report: Callable[[str, str], None]
    files: Sequence[Path] = ()
    _value: list[V] = field(default_factory=list)
    _seen: object = None

    def now(self) -> V:
        """Return the present value, or the last usable one; BadInput when there never was one."""
        seen = [_fingerprint(path) for path in self.files]
        try:
            self._value = [self.read()]
        except BadInput as error:
            if not self._value:
                raise
            self.report(self.name, str(error))
        else:
            self.report(self.name, "")
        self._seen = seen
        return self._value[0]

    def refresh(self) -> None:
        """Read replaced files; does nothing before the first use."""
        if self._value and (not self.files or self._seen != [_fingerprint(path) for path in self.files]):
            self.now()


def _fingerprint(path: Path) -> tuple[int, int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino


class Credentials:
    """The gateway's credentials. `changed` is called when a fault begins or ends."""

    def __init__(self, config: GatewayConfig, changed: Callable[[], None] = lambda: None) -> None:
        mqtt, influx = config.mqtt, config.influx
        files = [path for path in (mqtt.ca, mqtt.cert, mqtt.key) if path is not None]
        self.changed = changed
        self.password = Credential("mqtt.password", lambda: _text(mqtt.password), self._report)
        self.tls = Credential("mqtt.ca, cert, key", lambda: tls_context(mqtt), self._report, files)
        self.token = Credential(
            "influx.token", lambda: _text(influx.token if influx else None) or "", self._report
        )
        self._faults: dict[str, str] = {}

    @property
    def fault(self) -> str:
        """Which credentials cannot be used, and why; empty for none."""
        faults = [f"{name}: {why}" for name, why in sorted(self._faults.items())]
        return f"{'; '.join(faults)}; the previous one stays in use" if faults else ""

    def _report(self, name: str, why: str) -> None:
        before = self._faults.pop(name, "")
        if why:
            self._faults[name] = printable(why)
        if self._faults.get(name, "") != before:
            self.changed()

    async def watch(self) -> None:
        """Refresh everything every `REFRESH_EVERY` seconds, until cancelled."""
        while True:
            await asyncio.sleep(REFRESH_EVERY)
            for credential in (self.password, self.tls, self.token):
                credential.refresh()

    async def rest(self, seconds: float) -> None:
        """Sleep for `seconds`, or until the token is replaced: a refusal of the old one says nothing about the new."""
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
