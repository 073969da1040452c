"""HTTP/1.1 of one request a connection: a head as bytes in, a `Request` or the answer that refuses it out.

The part of RFC 9112 that a scraper and a health check need. There is no body, no keep-alive and no chunk to get wrong.
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
    """What goes back: a status, its content and its media type."""

    status: HTTPStatus
    content: str
    media: str = "text/plain; charset=utf-8"

    def encode(self, *, with_content: bool = True) -> bytes:
        """The whole message; the connection ends with it."""
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
    """A GET or HEAD that may be answered; `path` is without its query."""

    path: str
    with_content: bool


def refusal(status: HTTPStatus, reason: str) -> Answer:
    return Answer(status, f"{status.value}: {reason}\n")


def parse(head: bytes, hosts: Collection[str]) -> Request | Answer:
    """Read a request's head, up to its empty line. `hosts` are the names by which this server may be called.

    A page of somebody else's whose name was rebound to this address asks under its own name: that is refused.
    """
    first, *rest = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    line = _LINE.fullmatch(first)
    fields = _fields(rest)
    if line is None or fields is None:
        return refusal(HTTPStatus.BAD_REQUEST, "this is no HTTP request")
    method, target, version = line.groups()
    if version not in (b"HTTP/1.0", b"HTTP/1.1"):
        return refusal(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "HTTP/1.0 and HTTP/1.1 are spoken here")
    if (refused := _refused_host(fields.get("host", []), version, hosts)) is not None:
        return refused
    if fields.get("transfer-encoding") or any(length != "0" for length in fields.get("content-length", [])):
        return refusal(HTTPStatus.BAD_REQUEST, "a request has no body here")
    if method not in (b"GET", b"HEAD"):
        return refusal(HTTPStatus.METHOD_NOT_ALLOWED, "GET and HEAD are answered here")
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
    """Every browser names the host; what speaks HTTP/1.0 need not."""
    if not given and version == b"HTTP/1.0":
        return None
    if len(given) != 1:
        return refusal(HTTPStatus.BAD_REQUEST, "a request names one host")
    found = _HOST.fullmatch(given[0])
    if found is None or (found[1] or found[2]).lower() not in hosts:
        return refusal(
            HTTPStatus.MISDIRECTED_REQUEST, "this server is called by the name of this machine only"
        )
    return None
