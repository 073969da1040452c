"""Parse dates, addresses and names of gateway.yaml."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

from edge_gateway.rules.files.zone_data import zone_changes
from fleet_wire.topics import is_level

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
RESERVED_TAGS: Final = frozenset({"site", "device", "type", "metric", "time"})


def instant(value: object) -> object:
    """Return wall milliseconds of `2020-01-01` or `2020-01-01T12:00:00Z` (UTC unless it says otherwise)."""
    if not isinstance(value, str):
        raise ValueError("a date is written like 2020-01-01 or 2020-01-01T12:00:00Z")  # noqa: TRY004
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError(
            f"'{value}' is not a date; write it like 2020-01-01 or 2020-01-01T12:00:00Z"
        ) from error
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MS


def instant_text(milliseconds: int) -> str:
    """Return the shortest text that `instant` reads back, in UTC: `2020-01-01`, `2020-01-01T12:00:00Z`."""
    moment = (_EPOCH + milliseconds * _MS).replace(tzinfo=None)
    date, _, time = moment.isoformat(timespec="milliseconds").partition("T")
    return date if time == "00:00:00.000" else f"{date}T{time.removesuffix('.000')}Z"


Instant = Annotated[
    int,
    BeforeValidator(instant),
    PlainSerializer(instant_text, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["2020-01-01"]}),
]
"""A wall time in ms, in a file as `instant` reads it."""


def url_parts(text: str, schemes: set[str], form: str) -> SplitResult:
    """Split an address. Errors do not repeat it, as it may contain a password.

    Args:
        text: the address.
        schemes: those allowed.
        form: an example, for error texts.

    Raises:
        ValueError: it is not an address, has a query or fragment, or a port out of range.
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError(f"this is not an address; write {form}") from None
    if parts.scheme not in schemes or not parts.hostname or not text.isprintable() or " " in text:
        raise ValueError(f"this is not an address; write {form}")
    if not _has_port(parts):
        raise ValueError(f"a port is 1 to 65535; write {form}")
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise ValueError(f"an address ends before '?' and '#'; write {form}")
    return parts


def _has_port(parts: SplitResult) -> bool:
    """Tell whether the port is valid or absent."""
    try:
        return parts.port != 0
    except ValueError:
        return False


def _site(text: str) -> str:
    if text != "+" and not is_level(text):
        raise ValueError("a site is 1 to 64 of A-Z a-z 0-9 _ -, or '+' for every site")
    return text


def _tag(text: str) -> str:
    if text in RESERVED_TAGS or not text or text.startswith("_"):
        raise ValueError(
            f"'{text}' cannot be a forwarded tag;"
            f" it must not be empty, start with _ or be one of {', '.join(sorted(RESERVED_TAGS))}"
        )
    return text


def _zone(name: str) -> str:
    zone_changes(name)
    return name


Site = Annotated[str, AfterValidator(_site)]
Tag = Annotated[str, AfterValidator(_tag)]
Zone = Annotated[str, AfterValidator(_zone)]
