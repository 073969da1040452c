"""The proxy does to a connection what it says, and lets go when the fault is over."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.proofs.ground.proxy import FaultKind, Proxy

SMALL = 300


class Echo:
    """Answers with what it gets; `heard` is all of it, `ended` how many connections ended."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.heard = b""
        self.ended = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                opened, _ = self.listener.accept()
                threading.Thread(target=self._answer, args=(opened,), daemon=True).start()

    def _answer(self, opened: socket.socket) -> None:
        with opened, suppress(OSError):
            while data := opened.recv(1 << 16):
                self.heard += data
                opened.sendall(data)
        self.ended += 1


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.listener.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy("127.0.0.1", echo.port) as proxy:
        yield proxy


def opened(proxy: Proxy) -> socket.socket:
    return socket.create_connection((proxy.host, proxy.port), timeout=60)


def received(client: socket.socket, size: int) -> list[bytes]:
    """Read until so many bytes have arrived; return them read by read."""
    parts: list[bytes] = []
    while sum(map(len, parts)) < size:
        part = client.recv(1 << 16)
        if not part:
            break
        parts.append(part)
    return parts


def test_without_a_fault_everything_passes_both_ways_to_the_end(proxy: Proxy, echo: Echo) -> None:
    data = bytes(range(256)) * 2000
    with opened(proxy) as client:
        threading.Thread(target=client.sendall, args=(data,)).start()
        assert b"".join(received(client, len(data))) == data
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""


def test_a_trickle_passes_byte_by_byte_until_it_is_over(proxy: Proxy) -> None:
    with opened(proxy) as client:
        with proxy.fault(FaultKind.TRICKLE) as trickle:
            client.sendall(b"x" * SMALL)
            assert len(client.recv(1 << 16)) < SMALL // 2
        assert sum(map(len, received(client, 1))) < SMALL
        assert trickle.affected


def test_a_delay_keeps_the_order(proxy: Proxy) -> None:
    with opened(proxy) as client, proxy.fault(FaultKind.DELAY) as delay:
        began = time.monotonic()
        for number in range(5):
            client.sendall(b"%d" % number)
        assert b"".join(received(client, 5)) == b"01234"
        assert time.monotonic() - began >= 0.04
    assert delay.affected >= 2


def test_a_reset_cuts_a_packet_short_on_both_sides(proxy: Proxy, echo: Echo) -> None:
    with proxy.fault(FaultKind.RESET):
        for _ in range(50):
            with opened(proxy) as client:
                client.sendall(b"y" * SMALL)
                try:
                    while received(client, SMALL) and len(echo.heard) % SMALL == 0:
                        client.sendall(b"y" * SMALL)
                except ConnectionError:
                    pass
            if len(echo.heard) % SMALL:
                return
    pytest.fail("no packet was cut short on its way to the server")


def test_silence_affects_new_connections_and_outlasts_the_fault(proxy: Proxy, echo: Echo) -> None:
    with opened(proxy) as old:
        old.sendall(b"a")
        assert old.recv(1) == b"a"
        with proxy.fault(FaultKind.SILENCE) as silence:
            with pytest.raises(ConnectionResetError):
                old.recv(1)
            client = opened(proxy)
            client.sendall(b"b")
            while not silence.affected:
                time.sleep(0.01)
    with client, opened(proxy) as third:
        third.sendall(b"c")
        assert third.recv(1) == b"c"
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(1)
    assert echo.heard == b"ac"


def test_a_black_hole_passes_nothing_not_even_a_close(proxy: Proxy, echo: Echo) -> None:
    with opened(proxy) as client, opened(proxy) as other:
        for one in (client, other):
            one.sendall(b"a")
            assert one.recv(1) == b"a"
        with proxy.fault(FaultKind.BLACK_HOLE) as hole:
            client.sendall(b"b")
            other.close()
            client.settimeout(0.2)
            with pytest.raises(TimeoutError):
                client.recv(1)
            assert (echo.heard, echo.ended) == (b"aa", 0)
            assert hole.affected
        client.settimeout(60)
        assert client.recv(1) == b"b"
    while echo.ended < 2:
        time.sleep(0.01)


def test_a_fault_affects_only_the_connections_it_matches(proxy: Proxy) -> None:
    with opened(proxy) as client, opened(proxy) as other:
        with proxy.fault(FaultKind.BLACK_HOLE, lambda first: b"him" in first):
            client.sendall(b"me")
            other.sendall(b"him")
            assert client.recv(2) == b"me"
            other.settimeout(0.1)
            with pytest.raises(TimeoutError):
                other.recv(3)
        other.settimeout(60)
        assert other.recv(3) == b"him"
