"""The broker a fleet connects to, its credentials, and the limit of open sockets."""

from __future__ import annotations

import resource
import ssl
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import mqtt5

from fleet_wire.control_messages import encode_death
from fleet_wire.session_options import SessionOptions
from fleet_wire.topics import STATUS, device_topic

if TYPE_CHECKING:
    from fleet_sim.devices.world import Identity

__all__ = ["CannotReach", "Endpoint", "TooManySockets", "reserve_sockets", "split_url"]

PORTS = {"mqtt": 1883, "mqtts": 8883}
SPARE_FILES = 64
DEVICE_WINDOW = 100
"""Commands a device takes at once (its Receive Maximum)."""
LISTENER = "fleet-sim"
"""What `{id}` in the user name stands for in a client that is no device: the observer of alerts and status."""


class CannotReach(Exception):
    """The broker does not answer or refuses; the text says what, where, and what to do."""


class TooManySockets(Exception):
    """The machine's limit of open files does not allow that many connections."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A broker and how to log in; times in seconds.

    `{id}` in the user name stands for the device's id, and for `fleet-sim` where a client is no device.
    """

    host: str
    port: int
    username: str | None = None
    password: bytes | None = None
    tls: ssl.SSLContext | None = None
    keep_alive: int = 60
    session_expiry: int = 3600
    bind: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"

    def of_device(self, identity: Identity, index: int) -> SessionOptions:
        """Options of one device's session: its id as client id, its death as will."""
        will = mqtt5.Will(
            device_topic(identity.site, identity.id, STATUS),
            payload=encode_death(),
            qos=mqtt5.QoS.AT_LEAST_ONCE,
            retain=True,
        )
        options = self.of_client(identity.id)
        return replace(
            options,
            clean_start=False,
            session_expiry=self.session_expiry,
            receive_maximum=DEVICE_WINDOW,
            username=self._user(identity.id),
            will=will,
            local_address=self.bind[index % len(self.bind)] if self.bind else None,
        )

    def of_client(self, client_id: str) -> SessionOptions:
        """Options of a client that is not a device; the broker keeps nothing for it while it is away."""
        return SessionOptions(
            host=self.host,
            port=self.port,
            client_id=client_id,
            username=self._user(LISTENER),
            password=self.password,
            tls=self.tls,
            keep_alive=self.keep_alive,
            session_expiry=0,
            clean_start=True,
        )

    def _user(self, name: str) -> str | None:
        return self.username and self.username.replace("{id}", name)


def split_url(url: str) -> tuple[str, int, bool]:
    """Return host, port and whether TLS is meant, of `mqtt://host:1883` or `mqtts://host:8883`."""
    parts = urlsplit(url)
    return parts.hostname or "localhost", parts.port or PORTS[parts.scheme], parts.scheme == "mqtts"


def reserve_sockets(connections: int) -> None:
    """Raise this process's limit of open files as far as `connections` need it.

    Raises:
        TooManySockets: the hard limit is lower.
    """
    wanted = connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted or soft == resource.RLIM_INFINITY:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    except (ValueError, OSError):
        if hard == resource.RLIM_INFINITY or hard >= wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return
        raise TooManySockets(
            f"{wanted} open files are needed, one a connection and some to spare; the limit is {hard}: "
            f"raise it with `ulimit -n {wanted}` or start fewer sensors"
        ) from None
