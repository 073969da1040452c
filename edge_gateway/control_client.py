"""The client of the control connection: aiomqtt's, made to leave no connection behind and to see each one end."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import aiomqtt
from paho.mqtt import client as paho

NO_LINGERING = struct.pack("ii", 1, 0)


class ControlClient(aiomqtt.Client):
    """Whoever enters it has a connection; whoever failed to enter it or has left it has none.

    aiomqtt only forgets a client whose CONNECT or DISCONNECT was not answered in time, and paho keeps its connection
    alive. Answered late, it would be a second client of the same id, and the two would push each other off the broker.
    """

    _entering = False

    async def __aenter__(self) -> Self:
        self._entering = True
        try:
            await super().__aenter__()
        except BaseException:
            self._hang_up()
            raise
        finally:
            self._entering = False
        self._disconnected.add_done_callback(_noticed)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            await super().__aexit__(exc_type, exc, tb)
        finally:
            self._hang_up()

    def _hang_up(self) -> None:
        """End the connection, if there still is one; what was not sent yet is dropped."""
        left = self._client.socket()
        if isinstance(left, socket.socket):
            with suppress(OSError):
                left.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGERING)
                left.shutdown(socket.SHUT_RDWR)

    # What paho calls, from the loop or from the thread that connects

    def _on_socket_close(self, client: paho.Client, userdata: Any, sock: Any) -> None:
        """An end before the CONNACK is the end of the attempt: aiomqtt would wait for its timeout."""
        super()._on_socket_close(client, userdata, sock)
        if self._entering:
            self._loop.call_soon_threadsafe(self._attempt_ended)

    def _attempt_ended(self) -> None:
        if self._entering and not self._connected.done():
            self._connected.set_exception(
                aiomqtt.MqttError("the connection broke before the broker answered")
            )

    def _on_socket_register_write(self, client: paho.Client, userdata: Any, sock: Any) -> None:  # noqa: ARG002 - paho's
        self._loop.call_soon_threadsafe(self._watch, client, sock)

    def _watch(self, client: paho.Client, sock: Any) -> None:
        """Ask to be called when the socket takes more, unless it was closed meanwhile: its number may be another's."""
        held = client.socket()
        if held is not None and held is sock:
            self._loop.add_writer(held.fileno(), self._write, client)

    def _write(self, client: paho.Client) -> None:
        try:
            client.loop_write()
        except OSError as error:
            if not self._disconnected.done():
                self._disconnected.set_exception(error)


def _noticed(ended: asyncio.Future[None]) -> None:
    """Whoever uses the client meets the end as an error of what it does; that nobody asked for the reason is none."""
    if not ended.cancelled():
        ended.exception()
