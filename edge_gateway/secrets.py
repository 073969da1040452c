"""Secrets by reference: `file:/path` or `env:NAME`. A secret written into a file people share is refused."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import core_schema

from edge_gateway.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

KINDS = ("file", "env")


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret is; its text is only read when it is needed, and never shown."""

    kind: str
    place: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.place}"

    def beside(self, home: Path) -> Secret:
        """The same secret, a relative file taken from the directory `home`."""
        return Secret(self.kind, str(home.absolute() / self.place)) if self.kind == "file" else self

    def read(self, environment: Mapping[str, str] = os.environ) -> str:
        """The secret's text, without the line end an editor leaves. Raises BadInput where it cannot be had."""
        return (
            _from_file(Path(self.place))
            if self.kind == "file"
            else _from_environment(self.place, environment)
        )

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
    """`file:…` or `env:…`. Raises ValueError for a literal, without repeating it."""
    if isinstance(value, Secret):
        return value
    kind, _, place = str(value).partition(":")
    if not isinstance(value, str) or kind not in KINDS or not place:
        raise ValueError("a secret is not written here; write file:/path/to/it or env:NAME_OF_IT")
    return Secret(kind, place)


def _from_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise BadInput(
            f"the secret in {path} cannot be read: {reason}; it must be readable by the gateway's user"
        ) from error


def _from_environment(name: str, environment: Mapping[str, str]) -> str:
    if name not in environment:
        raise BadInput(f"the secret env:{name} is not set in the gateway's environment")
    return environment[name]
