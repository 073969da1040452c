"""Secrets by reference: `file:/path` or `env:NAME`. A literal secret in the configuration is refused."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import core_schema

from edge_gateway.errors import BadInput
from fleet_config.bounded_file import UnreadableFile, read_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

KINDS = ("file", "env")
LONGEST = 4_096


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret is. Its text is read only when needed, and never shown."""

    kind: str
    place: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.place}"

    def beside(self, home: Path) -> Secret:
        """Return the secret with a relative file resolved against the directory `home`."""
        return Secret(self.kind, str(home.absolute() / self.place)) if self.kind == "file" else self

    def read(self, environment: Mapping[str, str] = os.environ) -> str:
        """Return the text without a trailing line end; BadInput when it is missing, unreadable or malformed."""
        if self.kind == "file":
            return _checked(_from_file(Path(self.place)), f"in {self.place}")
        return _checked(_from_environment(self.place, environment), str(self))

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            parse_secret, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "pattern": "^(file|env):.+$"}


def parse_secret(value: object) -> Secret:
    """Parse `file:…` or `env:…`; ValueError for a literal, which the text does not repeat."""
    if isinstance(value, Secret):
        return value
    kind, _, place = str(value).partition(":")
    if not isinstance(value, str) or kind not in KINDS or not place:
        raise ValueError("a secret cannot be written here; write file:/path/to/it or env:NAME_OF_IT")
    return Secret(kind, place)


def _checked(text: str, where: str) -> str:
    """Return the text if it can be sent as a password or in a header; errors do not repeat it."""
    if not text.strip():
        raise BadInput(f"the secret {where} is empty")
    if len(text) > LONGEST:
        raise BadInput(f"the secret {where} is longer than {LONGEST} characters")
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise BadInput(f"the secret {where} has more than one line, or control characters")
    return text


def _from_file(path: Path) -> str:
    try:
        return read_file(path, LONGEST + len("x\r\n")).decode().rstrip("\r\n")
    except UnreadableFile as error:
        raise BadInput(f"the secret in {path}: {error}; it must be readable by the gateway's user") from error
    except UnicodeDecodeError:
        raise BadInput(f"the secret in {path}: it is not UTF-8 text") from None


def _from_environment(name: str, environment: Mapping[str, str]) -> str:
    if name not in environment:
        raise BadInput(f"the secret env:{name} is not set in the gateway's environment")
    return environment[name]
