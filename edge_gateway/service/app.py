"""The composition root: build everything from the configuration, start sink to source, stop source to sink.

locked spool ─▶ embedded broker ─▶ recovered state ─▶ store, commit queue ─▶ sinks ─▶ control ─▶ engine ─▶ source
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiomqtt
import numpy.ma  # noqa: F401 - np.unique imports it at its first call, when no file may be left to open

from edge_gateway.configuration import gateway_id
from edge_gateway.configuration.credentials import Credentials
from edge_gateway.configuration.model import GatewayConfig, MqttSection
from edge_gateway.errors import BadInput
from edge_gateway.journal import spool
from edge_gateway.journal.files import is_full
from edge_gateway.journal.reserve import Reserve
from edge_gateway.journal.spool_owner import first_forbidden, name_of
from edge_gateway.mqtt.control_client import ControlClient
from edge_gateway.mqtt.embedded import EmbeddedBroker
from edge_gateway.mqtt.sending import AT_ONCE
from edge_gateway.recovery.startup import Startup, recover_spool
from edge_gateway.service.descriptors import raise_limit
from edge_gateway.service.gateway import Gateway
from edge_gateway.service.http import serving
from edge_gateway.service.local_api import LocalEndpoint
from edge_gateway.service.socket_link import linked
from edge_gateway.service.unexpected import log_uncaught_errors
from edge_gateway.service.watchdog import ProgressMark, ServiceManager, Watchdog
from edge_gateway.status.clock import MachineClock
from fleet_console.failures import in_words
from fleet_wire import local_socket
from fleet_wire.session import SessionOptions

log = logging.getLogger("edge_gateway.app")

MOST_PACKET = 1 << 20
RECEIVE_MAXIMUM = 4_000
RETRY_EVERY = 1.0
GC_THRESHOLDS = (20_000, 20, 20)


def session_options(
    mqtt: MqttSection, credentials: Credentials, *, client_id: str, session_expiry: int | None = None
) -> SessionOptions:
    """Return the connect options of the telemetry session; `session_expiry` in seconds, by default as configured."""
    password = credentials.password.now()
    return SessionOptions(
        host=mqtt.host,
        port=mqtt.port,
        client_id=client_id,
        username=mqtt.user,
        password=None if password is None else password.encode(),
        tls=credentials.tls.now(),
        keep_alive=mqtt.keepalive // 1000,
        session_expiry=mqtt.session_expiry // 1000 if session_expiry is None else session_expiry,
        receive_maximum=RECEIVE_MAXIMUM,
        maximum_packet_size=MOST_PACKET,
        needs_retained=False,
    )


@dataclass(frozen=True, slots=True)
class ControlClients:
    """Factory of the control connection's clients, each with the current credentials."""

    mqtt: MqttSection
    credentials: Credentials
    client_id: str

    def __call__(self, will: aiomqtt.Will) -> ControlClient:
        return self._client(self.client_id, will)

    def standing_by(self) -> ControlClient:
        """Return a client with a random id, which takes over no session."""
        return self._client(f"{self.client_id}-by-{os.urandom(4).hex()}", None)

    def _client(self, client_id: str, will: aiomqtt.Will | None) -> ControlClient:
        mqtt = self.mqtt
        client = ControlClient(
            mqtt.host,
            mqtt.port,
            identifier=client_id,
            username=mqtt.user,
            password=self.credentials.password.now(),
            protocol=aiomqtt.ProtocolVersion.V5,
            tls_context=self.credentials.tls.now(),
            will=will,
            keepalive=mqtt.keepalive // 1000,
            max_inflight_messages=200,
            logger=logging.getLogger("mqtt"),
        )
        client.pending_calls_threshold = 2 * AT_ONCE
        return client


async def run(config: GatewayConfig, *, stop: asyncio.Event, socket: Path, embedded: bool) -> None:
    """Run the gateway until `stop` is set; on return everything folded is on disk."""
    log_uncaught_errors()
    raise_limit()
    progress, endpoint = ProgressMark(), LocalEndpoint()
    watchdog = Watchdog(
        ServiceManager.from_environment(os.environ), {"start": lambda: progress.at}, lambda: endpoint.message
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(watchdog.watching())
        place = stack.enter_context(spool.held(config.spool.path))
        if embedded:
            broker = EmbeddedBroker(place / spool.BROKER, port=config.mqtt.port)
            await stack.enter_async_context(broker)
            stack.enter_context(_supervised(broker))
            log.info("the embedded broker listens on %s", broker.url)
        name = gateway_id.resolve(config.gateway.id)
        clock = MachineClock()
        socket_open = await _open_local_socket(stack, socket, name, endpoint)
        recovery = SpoolRecovery(place, endpoint, progress)
        startup = await recovery.recover(lambda: recover_spool(place, config, name, clock, progress), stop)
        if startup is None:
            log.info("stopped before the spool was read; the next start reads it")
            return
        credentials = Credentials(config)
        gateway = Gateway(
            config=config,
            name=name,
            clock=clock,
            startup=startup,
            credentials=credentials,
            connect_options=lambda: session_options(
                config.mqtt, credentials, client_id=gateway_id.client_id(name)
            ),
            clients=ControlClients(config.mqtt, credentials, gateway_id.client_id(name, "control")),
        )
        await gateway.open()
        stack.push_async_callback(gateway.close)
        if not socket_open and not await _open_local_socket(stack, socket, name, endpoint):
            raise BadInput(f"cannot listen on {socket}: the disk is full")
        endpoint.api = gateway.local_api()
        await stack.enter_async_context(serving(config.http.listen, gateway.report, gateway.counters))
        _tune_garbage_collection()
        await gateway.serve(stop, watchdog)


def _tune_garbage_collection() -> None:
    """Freeze what start-up allocated; later garbage is rarely cyclic, and frequent collections cost 10 % of the CPU."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


@dataclass(frozen=True, slots=True)
class SpoolRecovery:
    """Recovery of the spool at start-up; reports progress to the watchdog and its state to the local socket."""

    place: Path
    endpoint: LocalEndpoint
    progress: ProgressMark

    async def recover(self, recover: Callable[[], Startup], stop: asyncio.Event) -> Startup | None:
        """Run `recover` in a thread, retrying while the disk is full; None if `stop` is set meanwhile."""
        self.endpoint.message = "the gateway is starting: it is reading its spool"
        while not stop.is_set():
            try:
                return await asyncio.to_thread(recover)
            except (OSError, sqlite3.OperationalError) as error:
                _refuse_read_only(error, self.place)
                if not is_full(error):
                    raise
                self._wait_for_room()
            Reserve(self.place / spool.RESERVE).release()
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY_EVERY):
                    await stop.wait()
        return None

    def _wait_for_room(self) -> None:
        self.progress()
        self.endpoint.message = (
            f"the disk of the spool {self.place} is full: free some space, and the gateway starts by itself"
        )
        log.warning("%s", self.endpoint.message)


def _refuse_read_only(error: OSError | sqlite3.OperationalError, place: Path) -> None:
    """Raise BadInput if the error means that waiting cannot make the spool writable."""
    forbidden = {errno.EROFS, errno.EACCES, errno.EPERM}
    readonly = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY
    if readonly or getattr(error, "errno", None) in forbidden:
        why = in_words(error) if isinstance(error, OSError) else error
        file = first_forbidden(place)
        where = f"{why}; this user may not use {file}, which belongs to {name_of(file)}" if file else why
        raise BadInput(
            f"the spool {place} cannot be written ({where}); it is unchanged. Check its owner and mount"
        ) from error


@contextmanager
def _supervised(broker: EmbeddedBroker) -> Iterator[None]:
    """Restart the broker whenever it ends, while the block runs."""
    task = asyncio.create_task(broker.supervise(), name="broker")
    try:
        yield
    finally:
        task.cancel()


async def _open_local_socket(stack: AsyncExitStack, socket: Path, name: str, endpoint: LocalEndpoint) -> bool:
    """Open the local socket and the link to it; False if the disk is too full even for that."""
    try:
        await stack.enter_async_context(local_socket.serve(socket, endpoint))
    except OSError as error:
        if is_full(error):
            return False
        raise BadInput(f"cannot listen on {socket}: {in_words(error)}") from error
    stack.enter_context(linked(socket, name))
    return True
