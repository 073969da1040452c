"""Selections of devices: `{site: [berlin, lyon], type: freezer, line: "L*"}`.

Keys are `site`, `device`, `type` and any birth tag; a value is a glob (`*`, `?`, `[abc]`), a list means "one of", and
all keys must match. A device without the tag fits only the word `unknown`, no glob. Without keys, all devices match.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetPydanticSchema
from pydantic_core import CoreSchema, core_schema

from fleet_config.explain import wrong_kind
from fleet_config.spelling import TAG

UNKNOWN = "unknown"
PROPERTIES = ("site", "device", "type")
"""The keys that are no tags."""


@dataclass(frozen=True)
class Match:
    """A selection of devices. `globs` holds (key, patterns) in the order of the file."""

    globs: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def of(cls, mapping: Mapping[str, str | Sequence[str]]) -> Match:
        """Make a selection from `{key: glob or list of globs}`."""
        return cls(tuple((key, _as_tuple(globs)) for key, globs in mapping.items()))

    def matches(self, site: str, device: str, type: str, tags: Mapping[str, str]) -> bool:  # noqa: A002 - the key's own name
        """Return whether a device with these properties is selected."""
        return self.fits({**tags, "site": site, "device": device, "type": type})

    def fits(self, values: Mapping[str, str]) -> bool:
        """Return whether something with these values by key is selected."""
        for key, globs, accepted in self._accepted:
            value = values.get(key)
            if not (UNKNOWN in globs if value is None else accepted(value)):
                return False
        return True

    def as_dict(self) -> dict[str, list[str]]:
        """Return it as plain data that `of` reads."""
        return {key: list(globs) for key, globs in self.globs}

    def __bool__(self) -> bool:
        """Whether it has any key; without one it selects every device."""
        return bool(self.globs)

    @cached_property
    def _accepted(self) -> tuple[tuple[str, tuple[str, ...], Any], ...]:
        return tuple((key, globs, _acceptor(globs)) for key, globs in self.globs)


def _as_tuple(globs: str | Sequence[str]) -> tuple[str, ...]:
    return (globs,) if isinstance(globs, str) else tuple(globs)


def _acceptor(globs: tuple[str, ...]) -> Any:
    """Return a predicate over text: a set look-up if no glob has a wildcard, else one regular expression."""
    if not any(character in glob for glob in globs for character in "*?["):
        return frozenset(globs).__contains__
    return re.compile("|".join(map(fnmatch.translate, globs))).match


def _listed(value: Any) -> Any:
    if not isinstance(value, (str, list, tuple)):
        raise wrong_kind("text or a list of texts")
    return [value] if isinstance(value, str) else value


Glob = Annotated[str, Field(min_length=1)]
Globs = Annotated[
    tuple[Glob, ...],
    Field(min_length=1),
    BeforeValidator(_listed, json_schema_input_type=Glob | tuple[Glob, ...]),
]
TagName = Annotated[str, TAG]


def _match_schema(_source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    return core_schema.no_info_wrap_validator_function(
        _match_of,
        handler.generate_schema(dict[TagName, Globs]),
        serialization=core_schema.plain_serializer_function_ser_schema(Match.as_dict),
    )


def _match_of(value: Any, mapping_of: core_schema.ValidatorFunctionWrapHandler) -> Match:
    if isinstance(value, Match):
        return value
    if not isinstance(value, Mapping):
        raise wrong_kind("a mapping such as {site: berlin, type: pump}")
    return Match.of(mapping_of(value))


MatchSpec = Annotated[Match, GetPydanticSchema(_match_schema)]
