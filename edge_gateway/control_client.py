"""The client of the control connection: aiomqtt's, made to leave no connection behind."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from types import TracebackType
from typing import Self

import aiomqtt

NO_LINGERING = struct.pack("ii", 1, 0)


class ControlClient(aiomqtt.Client):
    """Whoever enters it has a connection; whoever failed to enter it or has left it has none.

    aiomqtt only forgets a client whose CONNECT or DISCONNECT was not answered in time, and paho keeps its connection
    alive. Answered late, it would be a second client of the same id, and the two would push each other off the broker.
    """

    async def __aenter__(self) -> Self:
        try:
            return await super().__aenter__()
        except BaseException:
            self._hang_up()
            raise

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
