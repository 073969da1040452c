"""The text of a server's answer, for programs and for people.

    body ─▶ unpacked, at most so many bytes ─▶ text ─┬─▶ JSON of InfluxDB: as it is
                                                     └─▶ a page of a proxy: its title, or its plain words

InfluxDB's own answers are plain UTF-8; a proxy or firewall before it may pack them, or send pages of its own in any
encoding.
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Callable, Mapping
from email.message import Message
from functools import partial
from html import unescape
from typing import Final

from edge_gateway.sinks.http_connection import Response
from fleet_wire.printable import printable

LONGEST_PAGE: Final = 200
"""Characters told of a page."""
_LOOKED_AT: Final = 8 << 10
"""Characters of a page that are searched for words."""
_AUTO: Final = zlib.MAX_WBITS | 32
_UNPACKED_BY: Final[Mapping[str, tuple[int, ...]]] = {
    "gzip": (_AUTO,),
    "x-gzip": (_AUTO,),
    "deflate": (_AUTO, -zlib.MAX_WBITS),  # some servers send it without zlib's frame
}
"""Window bits to try, in order, by content coding."""
_GZIP: Final = b"\x1f\x8b\x08"
_PAGE: Final = re.compile(r"\s*<(?:!|\?|[a-z])", re.IGNORECASE)
_TITLE: Final = re.compile(r"<title\b[^>]*>([^<]*)", re.IGNORECASE)
_UNSHOWN: Final = re.compile(r"<!--.*?-->|<(script|style|head)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_TAG: Final = re.compile(r"<[^>]*>")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def text_of(answer: Response, most: int) -> str | None:
    """Return the text of an answer, of at most `most` bytes when unpacked; None if it cannot be read as text."""
    body = _unpacked(bytes(answer.body), answer.fields.get("content-encoding", ""), most)
    if body is None:
        return None
    utf_8 = partial(_utf_8, whole=answer.whole and len(body) < most)
    for decode in (utf_8, _as_declared(answer.fields.get("content-type", "")), _western):
        text = decode(body)
        if text is not None and not _CONTROL.search(text):
            return text
    return None


def in_short(answer: Response, text: str | None) -> str:
    """Return what to tell people of an answer that is not InfluxDB's, on one line: `text` is that of `text_of`."""
    if text is None:
        return f"its text cannot be read ({_kind(answer)})"
    words = " ".join(text.split())
    return _words_of_page(text) or words if _PAGE.match(text) else words


def _kind(answer: Response) -> str:
    """Say what the body of an answer is declared to be."""
    named = ("content-type", "content-encoding")
    declared = [f"{name} {printable(answer.fields[name], 60)}" for name in named if answer.fields.get(name)]
    return ", ".join([f"{len(answer.body):,} bytes", *declared])


def _unpacked(body: bytes, coding: str, most: int) -> bytes | None:
    """Undo a content coding, also of a body that is cut off; None if that is not possible."""
    coding = coding.strip().lower()
    if body.startswith(_GZIP):  # a proxy may drop the field
        coding = "gzip"
    if not body or coding in {"", "identity"}:
        return body[:most]
    for bits in _UNPACKED_BY.get(coding, ()):
        try:
            return zlib.decompressobj(bits).decompress(body, most)
        except zlib.error:
            continue
    # Labelled as packed, and plain all the same.
    return body[:most] if coding in _UNPACKED_BY and body.isascii() else None


def _utf_8(body: bytes, *, whole: bool) -> str | None:
    """Decode UTF-8; of a body that is not `whole` the last character may be cut off."""
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(body, final=whole)
    except UnicodeDecodeError:
        return None


def _as_declared(content_type: str) -> Callable[[bytes], str | None]:
    """Return what decodes the charset of a Content-Type, if it names a text encoding."""
    head = Message()
    head["content-type"] = content_type
    charset = head.get_content_charset("")

    def decode(body: bytes) -> str | None:
        try:
            return body.decode(charset, "replace")
        except (LookupError, ValueError):
            return None

    return decode


def _western(body: bytes) -> str:
    return body.decode("cp1252", "replace")


def _words_of_page(text: str) -> str:
    """Return the title of a page, or its plain words."""
    page = text[:_LOOKED_AT]
    title = _TITLE.search(page)
    shown = (title and title[1].strip()) or _TAG.sub(" ", _UNSHOWN.sub(" ", page))
    words = " ".join(unescape(shown).split())
    return words if len(words) <= LONGEST_PAGE else f"{words[: LONGEST_PAGE - 1]}…"
