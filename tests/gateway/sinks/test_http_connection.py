"""Connections: which address is asked, TLS, and what of an answer of any form is taken."""

import asyncio
import shutil
import socket
import ssl
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from edge_gateway.sinks import http_connection
from edge_gateway.sinks.http_client import HttpClient, NoAnswer
from edge_gateway.sinks.http_connection import Response
from tests.gateway.sinks.raw_server import CHUNKED, EMPTY, FULL, MOST, RawServer, answering, asked, silent


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        (EMPTY, Response(204, whole=True)),
        (b"HTTP/1.1 304\r\nContent-Length: 9\r\n\r\n", Response(304, {"content-length": "9"}, whole=True)),
        (b"HTTP/1.1 200 OK\nX: 1\nx: 2\n\nall", Response(200, {"x": "1"}, bytearray(b"all"), whole=True)),
        (b"HTTP/1.0 200 OK\r\n\r\nall", Response(200, {}, bytearray(b"all"), whole=True)),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\n" + EMPTY,
            Response(204, whole=True),
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nall and more",
            Response(200, {"content-length": "3"}, bytearray(b"all"), whole=True),
        ),
        (
            CHUNKED + b"3;x=y\r\nall\r\nA \r\n and a bit\r\n0\r\nT: t\r\n\r\n",
            Response(500, {"transfer-encoding": "chunked"}, bytearray(b"all and a bit"), whole=True),
        ),
    ],
)
async def test_an_answer_is_read_to_its_end(raw: bytes, answer: Response) -> None:
    assert await asked(raw) == answer


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"HTTP/1.1 500 Bad\r\nContent-Length: 30\r\n\r\npart", b"part"),
        (CHUNKED + b"4\r\npart\r\n9\r\n and", b"part and"),
        (CHUNKED + b"4\r\npart\r\nodd\r\n", b"part"),
        (CHUNKED + b"4\r\nparts\r\n0\r\n\r\n", b"part"),
        (CHUNKED + b"4\r\npart", b"part"),
    ],
)
async def test_a_body_that_is_cut_off_or_malformed_leaves_the_status(raw: bytes, body: bytes) -> None:
    answer = await asked(raw)
    assert (answer.status, bytes(answer.body), answer.whole) == (500, body, False)


@pytest.mark.parametrize(("length", "whole"), [(100, True), (101, False), (200_000, False)])
async def test_of_a_long_body_as_much_is_taken_as_is_wanted(length: int, whole: bool) -> None:
    raw = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode() + b"x" * length
    answer = await asked(raw, most=100)
    assert (bytes(answer.body), answer.whole) == (b"x" * 100, whole)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"", EOFError),
        (b"SSH-2.0-OpenSSH\r\n", ValueError),
        (b"\x15\x03\x01\x00\x02\x02\x16", ValueError),
        (b"HTTP/2 200\r\n\r\n", ValueError),
        (b"HTTP/1.1 banana\r\n\r\n", ValueError),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, ValueError),
        (b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 300, ValueError),
    ],
)
async def test_what_has_no_head_of_an_answer_is_no_answer(raw: bytes, kind: type[Exception]) -> None:
    with pytest.raises(NoAnswer) as none:
        await asked(raw)
    assert isinstance(none.value.cause, kind)
    assert none.value.connected


@pytest.mark.parametrize(
    ("name", "asked_for", "host"),
    [("influx", "influx", "influx"), ("bücher.example", "bücher.example", "xn--bcher-kva.example")],
)
async def test_the_host_is_named_as_the_address_has_it(
    name: str, asked_for: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []

    def resolve(wanted: str, port: int, **_: object) -> object:
        names.append(wanted)
        return socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM)

    monkeypatch.setattr(http_connection, "getaddrinfo", resolve)
    assert f"Host: {host}:" in await head_received("127.0.0.1", name)
    assert names == [asked_for]


async def test_an_address_of_ipv6_is_asked() -> None:
    assert "Host: [::1]:" in await head_received("::1", "[::1]")


async def head_received(at: str, host: str) -> str:
    """The head of a request to `host`, as a server at an address receives it."""
    heads: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(EMPTY)

    server = RawServer(serve)
    async with server.running(at):
        with closing(HttpClient(f"http://{host}:{server.port}", {}, timeout=60)) as client:
            await client.request("GET", "/", {}, most=MOST)
    return heads[0]


async def test_an_address_that_is_silent_does_not_take_the_time_of_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_connection, "_SHARE", 0.1)
    with closing(socket.create_server(("127.0.0.1", 0), backlog=0)) as full:
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]  # more than it queues: a further one is not answered
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        addresses = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in ("127.0.0.1", "127.0.0.2")
        ]
        monkeypatch.setattr(http_connection, "getaddrinfo", lambda *_, **__: addresses)
        async with RawServer(answering(FULL)).running("127.0.0.2", port):
            with closing(HttpClient(f"http://influx:{port}", {}, timeout=600)) as client:
                assert (await client.request("GET", "/", {}, most=MOST)).whole
        for one in waiting:
            one.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1, signed by itself, with its key."""
    place = tmp_path_factory.mktemp("tls") / "both.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-days", "2"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(place), "-out", f"{place}.crt"]
    subprocess.run(made, check=True, capture_output=True)
    place.write_text(place.read_text() + Path(f"{place}.crt").read_text())
    return place


def serving(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_a_connection_with_tls_is_used_again_and_given_up_in_time(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = RawServer(answering(FULL, FULL), silent)
    async with server.running(tls=serving(certificate)) as url:
        with closing(HttpClient(url, {}, timeout=60)) as client:
            for _ in range(2):
                answer = await client.request("POST", "/", {}, b"x" * (1 << 20), most=MOST)
                assert (bytes(answer.body), answer.whole) == (b"all", True)
        assert server.connections == 1
        with closing(HttpClient(url, {}, timeout=0.5)) as client, pytest.raises(NoAnswer) as none:
            await client.request("GET", "/", {}, most=MOST)
    assert (type(none.value.cause), none.value.connected) == (TimeoutError, True)


async def test_a_certificate_that_is_not_trusted_is_refused_before_anything_is_sent(
    certificate: Path,
) -> None:
    async with RawServer(answering(FULL)).running(tls=serving(certificate)) as url:
        with closing(HttpClient(url, {}, timeout=60)) as client, pytest.raises(NoAnswer) as none:
            await client.request("GET", "/", {}, most=MOST)
    assert isinstance(none.value.cause, ssl.SSLCertVerificationError)
    assert not none.value.connected


async def test_a_bundle_that_is_replaced_is_trusted_from_the_next_connection_on(
    certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    server = RawServer(answering(FULL))
    async with server.running(tls=serving(certificate)) as url:
        with closing(HttpClient(url, {}, timeout=60)) as client:
            with pytest.raises(NoAnswer):
                await client.request("GET", "/", {}, most=MOST)
            shutil.copy(certificate, tmp_path / "new.pem")
            (tmp_path / "new.pem").rename(bundle)
            assert (await client.request("GET", "/", {}, most=MOST)).whole
