"""A strict subset of YAML, with line and column for every value.

One document, text keys, bounded size and depth; no aliases, anchors, tags, merge keys or duplicate keys. `scalars`
defines what plain words and numbers mean; `validation` checks a document against a pydantic model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NoReturn

import yaml
from yaml import events as yaml_events

from fleet_config.bounded_file import UnreadableFile, read_file
from fleet_config.document import Document, Place, Position
from fleet_config.problems import MOST_PROBLEMS, NOWHERE, Problem, ProblemsFound, quoted
from fleet_config.scalars import AmbiguousScalarError, read_plain
from fleet_config.secrecy import UNSEEN, names_secret
from fleet_config.syntax import explain_syntax

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["FAST_LOADER", "MAX_BYTES", "MAX_DEPTH", "Document", "load_yaml", "parse_yaml"]

MAX_BYTES: Final = 1 << 20
"""Bytes of one file. The parser needs about two seconds for them, which a running gateway lacks meanwhile."""
MAX_DEPTH: Final = 32
MAX_VALUES: Final = 50_000
"""Scalars, lists and mappings in one file: no other thread runs while they are validated."""

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
FAST_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The compiled loader where there is one, which is nine times as fast."""


def load_yaml(path: Path, *, name: str | None = None) -> Document:
    """Read and parse a file; ProblemsFound if it cannot be read or is not good YAML.

    Problems name the file as `name`, or as `path` without it.
    """
    shown = str(path) if name is None else name
    try:
        content = read_file(path, MAX_BYTES)
    except UnreadableFile as error:
        _fail(shown, NOWHERE, str(error))
    return parse_yaml(_decoded(content, shown), shown)


def parse_yaml(text: str, name: str) -> Document:
    """Parse one YAML document; ProblemsFound with every mistake that can be found at once."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if len(text) > MAX_BYTES:
        _fail(name, (1, 1), f"larger than {MAX_BYTES >> 20} MiB")
    found = _FORBIDDEN.search(text)
    if found is not None:
        code = f"U+{ord(found[0]):04X}"
        _fail(name, _position(text, found.start()), f"the character {code} is not allowed in YAML")
    composer = _Composer(name, text)
    try:
        for event in _events(text):
            composer.take(event)
    except yaml.YAMLError as error:
        line, column, message = explain_syntax(text, error)
        composer.problems.append(Problem(name, line, column, message))
    return composer.document()


def parse_value(text: str, name: str) -> Document:
    """Parse a value that is no file's, such as a variable's or an option's: its places are nowhere, as its problems."""
    try:
        document = parse_yaml(text, name)
    except ProblemsFound as found:
        problems = [replace(problem, line=NOWHERE[0], column=NOWHERE[1]) for problem in found.problems]
        raise ProblemsFound(problems) from None
    _take_nowhere(document.root)
    return document


def _take_nowhere(place: Place) -> None:
    place.at = NOWHERE
    place.keys = dict.fromkeys(place.keys, NOWHERE)
    for child in place.children.values():
        _take_nowhere(child)


def _decoded(content: bytes, name: str) -> str:
    if content.startswith(_UTF16_MARKS):
        _fail(name, (1, 1), "not UTF-8 but UTF-16; save the file as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8", "replace")
        byte = error.object[error.start]
        _fail(
            name, _position(before, len(before)), f"not UTF-8: the byte 0x{byte:02X}; save the file as UTF-8"
        )


def _events(text: str) -> Iterator[Any]:
    return iter(yaml.parse(text, Loader=FAST_LOADER))


def _position(text: str, offset: int) -> Position:
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def _fail(name: str, at: Position, message: str) -> NoReturn:
    raise ProblemsFound([Problem(name, *at, message)])


@dataclass(slots=True)
class _Open:
    """A collection that has not ended yet; `key` is the key that waits for its value."""

    data: dict[str, Any] | list[Any]
    place: Place
    key: str | None = None


class _Composer:
    """Builds data and places from parser events, without recursion."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self._text = text
        self._count = 0
        self.problems: list[Problem] = []
        self._open: list[_Open] = []
        self._root: tuple[Any, Place] | None = None

    def document(self) -> Document:
        if self._root is None and not self.problems:
            self.problems.append(Problem(self.name, 1, 1, "the file is empty"))
        if self.problems or self._root is None:
            raise ProblemsFound(self.problems)
        data, place = self._root
        return Document(data, self.name, place, text=self._text)

    def take(self, event: Any) -> None:
        match event:
            case yaml_events.ScalarEvent():
                self._scalar(event)
            case yaml_events.CollectionStartEvent():
                self._start(event)
            case yaml_events.CollectionEndEvent():
                opened = self._open.pop()
                self._value(opened.data, opened.place)
            case yaml_events.AliasEvent():
                self._alias(event)
            case yaml_events.DocumentStartEvent():
                self._document_start(event)

    def _scalar(self, event: Any) -> None:
        self._refuse_decoration(event)
        at = _start(event)
        if self._at_key():
            self._key(event.value, at, plain=event.implicit[0])
        else:
            self._value(self._read(event, at), Place(at, plain=event.implicit[0]))

    def _read(self, event: Any, at: Position) -> Any:
        if not event.implicit[0]:
            if not _is_encodable(event.value):
                self._problem(at, "half a surrogate pair; write the character itself")
            return event.value
        try:
            return read_plain(event.value)
        except AmbiguousScalarError as error:
            self._problem(at, "put it in quotes" if self._at_secret() else str(error))
            return event.value

    def _key(self, key: str, at: Position, *, plain: bool) -> None:
        opened = self._open[-1]
        if plain and key == "<<":
            self._problem(at, "merge keys ('<<') are not supported; write the keys out")
        if not key:
            self._problem(at, "an empty key; a key is a name before the ':'")
        first = opened.place.keys.get(key)
        if first is not None:
            self._problem(at, f"duplicate key {quoted(key)}; it is already on line {first[0]}")
        opened.place.keys[key] = at
        opened.key = key

    def _start(self, event: Any) -> None:
        at = _start(event)
        if self._at_key():
            self._stop(
                at,
                "a list or a mapping cannot be a key; text that begins with '{' or '[' must be put in quotes",
            )
        self._refuse_decoration(event)
        if len(self._open) >= MAX_DEPTH:
            self._stop(at, f"nested deeper than {MAX_DEPTH} levels")
        mapping = isinstance(event, yaml_events.MappingStartEvent)
        self._open.append(_Open({} if mapping else [], Place(at)))

    def _value(self, value: Any, place: Place) -> None:
        self._count += 1
        if self._count > MAX_VALUES:
            self._stop(place.at, f"more than {MAX_VALUES} values in one file")
        if not self._open:
            self._root = (value, place)
            return
        opened = self._open[-1]
        if isinstance(opened.data, list):
            opened.place.children[len(opened.data)] = place
            opened.data.append(value)
        elif opened.key is not None:
            opened.place.children[opened.key] = place
            opened.data[opened.key] = value
            opened.key = None

    def _alias(self, event: Any) -> None:
        at = _start(event)
        self._stop(
            at,
            f"'*{self._shown(event.anchor)}' would be a YAML alias, which is not supported; "
            f"text that begins with '*' must be put in quotes",
        )

    def _refuse_decoration(self, event: Any) -> None:
        if event.anchor is not None:
            self._problem(
                _start(event),
                f"'&{self._shown(event.anchor)}' would be a YAML anchor, which is not supported; "
                f"text that begins with '&' must be put in quotes",
            )
        if event.tag is not None:
            self._problem(
                _start(event),
                f"the YAML tag {quoted(self._shown(_as_written(event.tag)))} is not supported; "
                f"text that begins with '!' must be put in quotes",
            )

    def _document_start(self, event: Any) -> None:
        if self._root is not None:
            self._stop(_start(event), "a second document; a file contains one, so remove the '---'")
        if event.version or event.tags:
            self._problem(_start(event), "YAML directives ('%…') are not supported; remove them")

    def _at_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].data, dict) and self._open[-1].key is None

    def _at_secret(self) -> bool:
        return bool(self._open) and names_secret(self._open[-1].key)

    def _shown(self, text: str) -> str:
        """Return a part of the next value as a message may show it."""
        return UNSEEN if self._at_secret() else text

    def _problem(self, at: Position, message: str) -> None:
        self.problems.append(Problem(self.name, *at, message))
        if len(self.problems) == MOST_PROBLEMS - 1:
            self.problems.append(
                Problem(self.name, *at, "the rest of the file was not read; fix these first")
            )
            raise ProblemsFound(self.problems)

    def _stop(self, at: Position, message: str) -> NoReturn:
        self._problem(at, message)
        raise ProblemsFound(self.problems)


def _as_written(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")


def _start(event: Any) -> Position:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _is_encodable(text: str) -> bool:
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False
