"""The broker of a scenario."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fleet_sim.devices.endpoint import Endpoint, split_url
from fleet_wire.tls_files import tls_context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet_sim.scenario.grammar import Broker

__all__ = ["endpoint_of"]


def endpoint_of(broker: Broker, *, password: str | None = None, bind: Sequence[str] = ()) -> Endpoint:
    """Return where a scenario's devices connect to; `password` overrides the scenario's.

    BadTlsFile: a certificate or key file cannot be used.
    """
    host, port, tls = split_url(broker.url)
    secret = password if password is not None else broker.password
    return Endpoint(
        host=host,
        port=port,
        username=broker.username,
        password=secret.encode() if secret is not None else None,
        tls=tls_context(_path(broker.ca), _path(broker.cert), _path(broker.key)) if tls else None,
        keep_alive=broker.keepalive // 1000,
        session_expiry=broker.session_expiry // 1000,
        bind=tuple(bind),
    )


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
