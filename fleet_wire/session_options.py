"""Options of a session: where CONNECT goes, and what it says."""

import ssl
from dataclasses import dataclass, field
from typing import NamedTuple

import mqtt5


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Where to connect, as whom, and what to ask of the broker. Times are in seconds, sizes in bytes.

    For the broker to keep messages while this client is away, use a fixed client id, `clean_start` false and an expiry
    longer than the longest outage. `keep_alive` 0 switches keep-alive off.
    """

    host: str
    port: int
    client_id: str
    username: str | None = None
    password: bytes | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    keep_alive: int = 60
    session_expiry: int = 3600
    clean_start: bool = False
    receive_maximum: int = 4000
    maximum_packet_size: int = 1 << 20
    will: mqtt5.Will | None = None
    connect_timeout: float = 10.0
    local_address: str | None = None
    needs_retained: bool = True
    """Whether a broker without retained messages is refused: a device needs its birth retained."""

    @property
    def address(self) -> str:
        scheme = "mqtts" if self.tls else "mqtt"
        return f"{scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def connect_packet(self) -> bytes:
        return mqtt5.ConnectPacket(
            self.client_id,
            username=self.username,
            password=self.password,
            clean_start=self.clean_start,
            will=self.will,
            keep_alive=self.keep_alive,
            session_expiry_interval=self.session_expiry,
            receive_max=self.receive_maximum,
            max_packet_size=self.maximum_packet_size,
        ).write()


class Connected(NamedTuple):
    """The broker's answer. If `session_present` is unexpectedly false, the broker has lost the session."""

    session_present: bool
    epoch: int
    server_receive_maximum: int
    server_keep_alive: int | None
