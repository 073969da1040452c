"""Parse a request head, and encode an answer: HTTP/1.1 with one request per connection.

The part of RFC 9112 that a scraper and a health check need: no bodies, no keep-alive, no chunked encoding.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_LINE = re.compile(rb"([!-~]{1,32}) ([!-~]+) (HTTP/[0-9]\.[0-9])")
_FIELD = re.compile(rb"([A-Za-z0-9!#$%&'*+.^_`|~-]+):[ \t]*([^\x00]*?)[ \t]*")
_HOST = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: status, content and media type."""

    status: HTTPStatus
    content: str
    media: str = "text/plain; charset=utf-8"

    def encode(self, *, with_content: bool = True) -> bytes:
        """Return the response as bytes; without its content for HEAD."""
        content = self.content.encode("utf-8", "backslashreplace")
        lines = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            f"Content-Type: {self.media}",
            f"Content-Length: {len(content)}",
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
            *(["Allow: GET, HEAD"] if self.status is HTTPStatus.METHOD_NOT_ALLOWED else []),
            "Connection: close",
        ]
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        return head + content if with_content else head


@dataclass(frozen=True, slots=True)
class Request:
    """A valid GET or HEAD; `path` has no query."""

    path: str
    with_content: bool


def refusal(status: HTTPStatus, reason: str) -> Answer:
    """Return an error response with one line of text."""
    return Answer(status, f"{status.value}: {reason}\n")


def parse(head: bytes, hosts: Collection[str]) -> Request | Answer:
    """Parse a request head, including its empty line; return the request, or the response that refuses it.

    `hosts`: lower-case names accepted in the Host header. Others are refused, against DNS rebinding.
    """
    first, *rest = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    line = _LINE.fullmatch(first)
    fields = _fields(rest)
    if line is None or fields is None:
        return refusal(HTTPStatus.BAD_REQUEST, "not an HTTP request")
    method, target, version = line.groups()
    if version not in (b"HTTP/1.0", b"HTTP/1.1"):
        return refusal(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "only HTTP/1.0 and HTTP/1.1 are supported")
    if (refused := _refused_host(fields.get("host", []), version, hosts)) is not None:
        return refused
    if fields.get("transfer-encoding") or any(length != "0" for length in fields.get("content-length", [])):
        return refusal(HTTPStatus.BAD_REQUEST, "a request body is not accepted")
    if method not in (b"GET", b"HEAD"):
        return refusal(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD are supported")
    return Request(target.partition(b"?")[0].decode("ascii"), method == b"GET")


def _fields(lines: list[bytes]) -> dict[str, list[str]] | None:
    fields: dict[str, list[str]] = {}
    for line in lines:
        found = _FIELD.fullmatch(line)
        if found is None:
            return None
        fields.setdefault(found[1].decode("ascii").lower(), []).append(found[2].decode("latin-1"))
    return fields


def _refused_host(given: list[str], version: bytes, hosts: Collection[str]) -> Answer | None:
    """Check the Host header, which HTTP/1.0 may omit; None if it is acceptable."""
    if not given and version == b"HTTP/1.0":
        return None
    if len(given) != 1:
        return refusal(HTTPStatus.BAD_REQUEST, "exactly one Host header is required")
    found = _HOST.fullmatch(given[0])
    if found is None or (found[1] or found[2]).lower() not in hosts:
        return refusal(
            HTTPStatus.MISDIRECTED_REQUEST,
            "the Host header must be localhost or the address of http.listen",
        )
    return None
