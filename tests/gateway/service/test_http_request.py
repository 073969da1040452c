"""A request head is parsed as RFC 9112 has it, or refused with a reason; an answer is one whole response."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from edge_gateway.service.http_request import LOOPBACK, Answer, Request, parse, refusal

HOST = b"Host: localhost\r\n"


def head(line: bytes, *fields: bytes) -> bytes:
    return line + b"\r\n" + b"".join(fields) + b"\r\n"


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        (b"GET /metrics HTTP/1.1", Request("/metrics", with_content=True)),
        (b"HEAD /metrics HTTP/1.1", Request("/metrics", with_content=False)),
        (b"GET /healthz?verbose=1 HTTP/1.1", Request("/healthz", with_content=True)),
        (b"GET / HTTP/1.0", Request("/", with_content=True)),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_get_or_head_gives_its_path_without_the_query(line: bytes, request_: Request) -> None:
    assert parse(head(line, HOST), LOOPBACK) == request_


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:8080", "[::1]", "[::1]:80"])
def test_the_host_may_be_any_name_of_this_machine(host: str) -> None:
    assert isinstance(parse(head(b"GET / HTTP/1.1", f"Host: {host}\r\n".encode()), LOOPBACK), Request)


def test_http_1_0_may_omit_the_host() -> None:
    assert isinstance(parse(head(b"GET / HTTP/1.0"), LOOPBACK), Request)


@pytest.mark.parametrize(
    ("request_", "status", "reason"),
    [
        (head(b"GET /", HOST), 400, "not an HTTP request"),
        (head(b"GET / HTTP/1.1", HOST, b"no colon\r\n"), 400, "not an HTTP request"),
        (head(b"GET / HTTP/2.0", HOST), 505, "only HTTP/1.0 and HTTP/1.1 are supported"),
        (head(b"GET / HTTP/1.1"), 400, "exactly one Host header is required"),
        (head(b"GET / HTTP/1.1", HOST, HOST), 400, "exactly one Host header is required"),
        (
            head(b"GET / HTTP/1.1", b"Host: evil.example\r\n"),
            421,
            "the Host header must be localhost or the address of http.listen",
        ),
        (head(b"GET / HTTP/1.1", HOST, b"Content-Length: 1\r\n"), 400, "a request body is not accepted"),
        (
            head(b"GET / HTTP/1.1", HOST, b"Transfer-Encoding: chunked\r\n"),
            400,
            "a request body is not accepted",
        ),
        (head(b"POST / HTTP/1.1", HOST), 405, "only GET and HEAD are supported"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_refusal_says_what_is_wrong(request_: bytes, status: int, reason: str) -> None:
    assert parse(request_, LOOPBACK) == Answer(HTTPStatus(status), f"{status}: {reason}\n")


def test_an_answer_names_its_length_in_bytes_and_ends_the_connection() -> None:
    lines = Answer(HTTPStatus.OK, "°C").encode().split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert b"Content-Length: 3" in lines
    assert b"Connection: close" in lines
    assert lines[-1] == "°C".encode()


def test_an_answer_to_head_has_the_length_and_no_content() -> None:
    answer = Answer(HTTPStatus.OK, "ok").encode(with_content=False)
    assert b"Content-Length: 2\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_a_refused_method_is_told_which_are_allowed() -> None:
    assert b"\r\nAllow: GET, HEAD\r\n" in refusal(HTTPStatus.METHOD_NOT_ALLOWED, "no").encode()
    assert b"Allow" not in refusal(HTTPStatus.NOT_FOUND, "no").encode()
