"""How a name may be spelt: a pattern for programs and editors, and the same in words for people."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import CoreSchema, core_schema

from fleet_config.problems import quoted

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler


@dataclass(frozen=True)
class Spelling:
    """Marks a text of a model: `Annotated[str, Spelling(pattern, words)]`. `words` follow "write "."""

    pattern: str
    words: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.checked, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "pattern": self.pattern}

    def checked(self, text: str) -> str:
        """Return the text; ValueError if it is spelt otherwise."""
        if not self._compiled.search(text):
            raise ValueError(f"{quoted(text)} is not allowed; write {self.words}")
        return text

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(
            self.pattern.removesuffix("$") + r"\Z" if self.pattern.endswith("$") else self.pattern
        )


LEVEL: Final = Spelling(r"^[A-Za-z0-9_-]{1,64}$", "1 to 64 of A-Z a-z 0-9 _ -")
"""A level of a topic: the name of a site, a device, an alert or a command."""
METRIC: Final = Spelling(
    r"^[a-z][a-z0-9_]{0,63}$", "up to 64 lower-case letters, digits and _, beginning with a letter"
)
TAG: Final = Spelling(
    r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$", "up to 64 letters, digits, _ and -, beginning with a letter or _"
)
LABEL: Final = Spelling(
    r"^[A-Za-z_][A-Za-z0-9_]{0,63}$", "up to 64 letters, digits and _, beginning with a letter or _"
)
