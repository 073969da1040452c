"""Answers of proxies, packed or in any encoding, are told in words that a person can read."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.sinks.answer_text import LONGEST_PAGE, in_short, text_of
from edge_gateway.sinks.http_connection import Response

MOST = 64 << 10
TEXT = "Grüße, 413 zu groß"
NGINX = (
    b"<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<body>\r\n"
    b"<center><h1>413 Request Entity Too Large</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


def answer(body: bytes, **fields: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return Response(502, named, bytearray(body), whole=True)


def told(body: bytes, **fields: str) -> str:
    one = answer(body, **fields)
    return in_short(one, text_of(one, MOST))


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (gzip.compress(TEXT.encode()), "gzip"),
        (gzip.compress(TEXT.encode()), " X-GZIP "),
        (gzip.compress(TEXT.encode()), ""),
        (zlib.compress(TEXT.encode()), "deflate"),
        (raw_deflate(TEXT.encode()), "deflate"),
        (TEXT.encode(), "identity"),
    ],
    ids=["gzip", "x-gzip", "unnamed", "zlib", "raw", "plain"],
)
def test_a_packed_body_is_unpacked(body: bytes, coding: str) -> None:
    assert told(body, content_encoding=coding) == TEXT


def test_a_body_that_only_says_that_it_is_packed_is_read() -> None:
    assert told(b"not packed", content_encoding="gzip") == "not packed"
    assert told(b"", content_encoding="gzip") == ""


def test_a_packed_body_that_is_cut_off_is_told_as_far_as_it_came() -> None:
    whole = gzip.compress(bytes(range(48, 123)) * 200, compresslevel=0)
    assert told(whole[:300], content_encoding="gzip").startswith("0123456789")


def test_a_body_that_unpacks_to_gigabytes_is_unpacked_to_the_bound() -> None:
    bomb = answer(gzip.compress(b"x" * (32 << 20)), content_encoding="gzip")
    assert text_of(bomb, 1000) == "x" * 1000


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br", "gzip"])
def test_what_cannot_be_unpacked_is_said_to_be_unreadable(coding: str) -> None:
    body = b"\x28\xb5\x2f\xfd\x00\x01"
    assert told(body, content_encoding=coding, content_type="text/html") == (
        f"its text cannot be read (6 bytes, content-type text/html, content-encoding {coding})"
    )


@pytest.mark.parametrize(
    ("charset", "content_type"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("latin-1", ""),
        ("latin-1", "text/plain; charset=no-such-charset"),
        ("latin-1", "text/plain; charset=base64"),
        ("utf-16", "text/plain; charset=UTF-16"),
        ("cp437", 'text/plain; charset="cp437"'),
    ],
)
def test_a_text_in_another_encoding_is_read(charset: str, content_type: str) -> None:
    assert told(TEXT.encode(charset), content_type=content_type) == TEXT


def test_a_character_that_is_cut_off_spoils_nothing() -> None:
    cut = Response(502, {}, bytearray("größ".encode()[:-1]))
    assert text_of(cut, MOST) == text_of(answer("größe".encode()), 5) == "grö"


def test_bytes_that_are_no_text_are_not_shown() -> None:
    assert told(b"\x00\x01\x02PNG", content_type="image/png").startswith(
        "its text cannot be read (6 bytes, content"
    )


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (NGINX, "413 Request Entity Too Large"),
        (b"<!DOCTYPE html><TITLE lang=en>\n Bad &amp; gone\n</TITLE>", "Bad & gone"),
        (
            b"<html><head><style>p {}</style></head><body><p>no <b>service</b><script>x()</script>",
            "no service",
        ),
        (b"<title></title><!-- hidden --><p>shown", "shown"),
        (b"<?xml version='1.0'?><Error><Code>SlowDown</Code></Error>", "SlowDown"),
        (b"<html><body></body></html>", "<html><body></body></html>"),
        (b"a < b and b > c", "a < b and b > c"),
    ],
)
def test_a_page_is_told_by_its_title_or_its_words(page: bytes, words: str) -> None:
    assert told(page, content_type="text/html") == words


def test_a_long_page_is_cut() -> None:
    assert len(told(b"<p>" + b"word " * 10_000)) == LONGEST_PAGE


@given(
    st.binary(max_size=300),
    st.sampled_from(["", "gzip", "deflate", "br", "x"]),
    st.sampled_from(
        [
            "",
            "text/html; charset=utf-16",
            "text/x; charset=rot13",
            "; charset=\x00",
            "text/html; charset=utf-7",
        ]
    ),
)
def test_any_answer_is_told_in_something(body: bytes, coding: str, content_type: str) -> None:
    for sent in (body, gzip.compress(body), b"<" + body):
        assert isinstance(told(sent, content_encoding=coding, content_type=content_type), str)
