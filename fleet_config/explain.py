"""pydantic's errors, explained to a person who edits a file."""

from __future__ import annotations

import re
import types
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Union, get_args, get_origin

import pydantic
from pydantic_core import PydanticCustomError

from fleet_config.counting import counted
from fleet_config.durations import DURATION_PATTERN, SIZE_PATTERN, format_duration, format_size
from fleet_config.problems import quoted, suggest
from fleet_config.secrecy import Hidden

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_core import ErrorDetails

    from fleet_config.document import Path

WRONG_KIND: Final = "wrong_kind"
REFUSED_KEY: Final = "refused_key"
_MOST_LISTED = 40

# What the value should be, by the kind of error.
_WANTED: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping of keys and values",
    "mapping_type": "a mapping of keys and values",
    "model_type": "a mapping of keys and values",
    "model_attributes_type": "a mapping of keys and values",
    "dataclass_type": "a mapping of keys and values",
    "none_required": "left empty",
}
_LIMITS: Final = {
    "greater_than": ("gt", "must be above {}"),
    "greater_than_equal": ("ge", "must be at least {}"),
    "less_than": ("lt", "must be below {}"),
    "less_than_equal": ("le", "must be at most {}"),
    "multiple_of": ("multiple_of", "must be a multiple of {}"),
    "string_too_short": ("min_length", "must have at least {}"),
    "string_too_long": ("max_length", "must have at most {}"),
    "too_short": ("min_length", "must have at least {}"),
    "too_long": ("max_length", "must have at most {}"),
}
_MAPPINGS: Final = frozenset(("dict_type", "mapping_type", "model_type", "model_attributes_type"))
_SHORT: Final = 40
_ALMOST_NUMBER: Final = re.compile(r"([-+]?[0-9]+(?:[.,][0-9]+)?)\s*((?:[%°µμΩ℃℉A-Za-z][%°/A-Za-z0-9²³]*)?)")
_BOOLEAN_WORDS: Final = {
    **dict.fromkeys(("on", "yes", "y"), "true"),
    **dict.fromkeys(("off", "no", "n"), "false"),
}


def explain(model: Any, details: ErrorDetails, path: Path) -> str:
    """Return an error as `key: what is wrong; did you mean …? What is allowed`."""
    kind = details["type"]
    if kind == "missing" and isinstance(details["loc"][-1], int):
        return f"{_subject(path)}must have more entries than {details['loc'][-1]}"
    if kind == "missing":
        return f"{_subject(path)}the key '{details['loc'][-1]}' is missing"
    if kind == "extra_forbidden":
        return _unknown_key(model, details)
    return _subject(path) + _of_value(details) + _one_key(model, details)


def alternatives(every: list[ErrorDetails], path: Path) -> str:
    """Return one text for a value of a kind that no member of a union allows."""
    wanted = list(dict.fromkeys(_wanted(each) for each in every))
    choice = wanted[0] if len(wanted) == 1 else ", ".join(wanted[:-1]) + " or " + wanted[-1]
    return f"{_subject(path)}must be {choice}, not {describe(every[0]['input'])}"


def is_wrong_kind(details: ErrorDetails) -> bool:
    """Return whether the value is of the wrong kind, rather than a bad one of the right kind."""
    return details["type"] in _WANTED or details["type"] in ("literal_error", "enum", WRONG_KIND)


def wrong_kind(wanted: str) -> PydanticCustomError:
    """Return the error that a custom validator raises for a value of the wrong kind.

    It reads "must be {wanted}, not …", also among several kinds of a union.
    """
    return PydanticCustomError(WRONG_KIND, "{wanted}", {"wanted": wanted})


def refused_key(text: str) -> PydanticCustomError:
    """Return the error that a custom validator raises for a key that is known and may not be written."""
    return PydanticCustomError(REFUSED_KEY, "{text}", {"text": text})


def describe(value: Any) -> str:  # noqa: PLR0911 - one line a kind of value
    """Return a value as an error names it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {quoted(value)}"
        case list():
            return "a list"
        case Hidden():
            return "this value"
        case _:
            return "a mapping"


def _of_value(details: ErrorDetails) -> str:  # noqa: PLR0911 - one line a kind of error
    kind, context, value = details["type"], details.get("ctx", {}), details["input"]
    if kind in _WANTED or kind == WRONG_KIND:
        wanted = _wanted(details)
        hint = _hint("string_type" if wanted.startswith("text") else kind, value)
        return f"must be {wanted}, not {describe(value)}{hint}"
    if kind in _LIMITS:
        name, text = _LIMITS[kind]
        return text.format(_limit(kind, context[name], value)) + f", not {_measured(kind, value, context)}"
    if kind in ("literal_error", "enum"):
        return _not_one_of(value, _listed(context["expected"]))
    if kind == "union_tag_invalid":
        return _not_one_of(context["tag"], _listed(context["expected_tags"]))
    if kind == "union_tag_not_found":
        return f"the key {context['discriminator']} is missing"
    if kind == "string_pattern_mismatch":
        return f"{quoted(value)} is not allowed; it must fit {context['pattern']}"
    if kind in ("value_error", "assertion_error"):
        return str(context["error"])
    return details["msg"][:1].lower() + details["msg"][1:]


def _subject(path: Path) -> str:
    names = [part for part in path if isinstance(part, str)]
    return f"{names[-1]}: " if names else ""


def _wanted(details: ErrorDetails) -> str:
    if details["type"] in ("literal_error", "enum"):
        return " or ".join(quoted(each) for each in _listed(details["ctx"]["expected"]))
    if details["type"] == WRONG_KIND:
        return str(details["ctx"]["wanted"])
    return _WANTED.get(details["type"], "something else")


def number_hint(value: Any) -> str:
    """Return `; write 1.5` for a text that is a number with a decimal comma, a unit or quotes; nothing for others."""
    found = _ALMOST_NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return ""
    how = ", without its unit" if found[2] else ", without quotes" if "," not in found[1] else ""
    return f"; write {found[1].replace(',', '.')}{how}"


def _one_key(model: Any, details: ErrorDetails) -> str:
    """Return the mapping meant by a plain value where one of its keys is required: `; write {after: 10m}`."""
    value = details["input"]
    if details["type"] != "model_type" or not isinstance(value, (str, int, float)):
        return ""
    for each in _models_at(model, list(details["loc"])):
        required = [info.alias or name for name, info in each.model_fields.items() if info.is_required()]
        if len(required) == 1 and _fits(each, {required[0]: value}):
            return f"; write {{{required[0]}: {value}}}"
    return ""


def _fits(model: type[pydantic.BaseModel], data: dict[str, Any]) -> bool:
    try:
        model.model_validate(data)
    except pydantic.ValidationError:
        return False
    return True


def _hint(kind: str, value: Any) -> str:  # noqa: PLR0911 - one line a kind of mistake
    if kind == "string_type" and isinstance(value, (bool, int, float)):
        written = describe(value).removeprefix("the number ")
        return f"; write '{written}' in quotes for text"
    if kind.startswith("bool") and isinstance(value, str) and value.lower() in _BOOLEAN_WORDS:
        return f"; write {_BOOLEAN_WORDS[value.lower()]}"
    if kind.startswith("bool") and value in ("true", "false"):
        return f"; write {value}, without quotes"
    if kind.startswith(("int", "float")):
        return number_hint(value)
    if kind in ("list_type", "tuple_type") and isinstance(value, (str, int, float)):
        return f"; write [{value}]" if len(str(value)) < _SHORT else "; put it in [ ]"
    if kind in ("list_type", "tuple_type") and isinstance(value, dict):
        return "; put it in [ ], or begin each entry with '- '"
    if kind in _MAPPINGS and isinstance(value, list):
        return "; write its keys without '- ' or [ ]"
    return ""


def _measured(kind: str, value: Any, context: Any) -> str:
    if kind in ("too_short", "too_long"):
        return f"{context.get('actual_length', len(value)):,}"
    if kind.startswith("string"):
        return f"{len(value):,}"
    return str(value)


def _limit(kind: str, limit: Any, value: Any) -> Any:
    if kind.startswith("string"):
        return counted(limit, "character")
    if kind in ("too_short", "too_long"):
        return counted(limit, "entry", "entries")
    if isinstance(value, str) and re.match(DURATION_PATTERN, value):
        return format_duration(limit)
    if isinstance(value, str) and re.match(SIZE_PATTERN, value):
        return format_size(limit)
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def _not_one_of(value: Any, allowed: list[str]) -> str:
    if not isinstance(value, str):
        return f"{describe(value)} is not allowed; one of {_in_words(allowed)}"
    if value in allowed:
        return f"the text {quoted(value)} is not allowed; write {value}, without quotes"
    return _offering(f"{quoted(value)} is not allowed", "one of", value, allowed)


def _listed(expected: str) -> list[str]:
    """Return the choices in pydantic's `'a', 'b' or 'c'`."""
    return re.findall(r"'([^']*)'", expected) or [expected]


def _in_words(names: list[str]) -> str:
    shown = names[:_MOST_LISTED]
    return ", ".join(shown) + (", …" if len(names) > len(shown) else "")


def _unknown_key(model: Any, details: ErrorDetails) -> str:
    *around, key = details["loc"]
    allowed = sorted({name for each in _models_at(model, around) for name in _keys(each)})
    told = f"unknown key {quoted(key)}"
    if str(key).isdigit():
        return f"{told}; write a number with a decimal point, as in 1.5"
    if ":" in str(key):
        return f"{told}; write a space after the ':' that ends a key"
    return _offering(told, "allowed here:", key, allowed) if allowed else told


def _offering(told: str, offer: str, given: object, allowed: list[str]) -> str:
    """Return what is wrong with what is allowed, after the nearest of it: the list may be long."""
    nearest = suggest(given, allowed)
    offered = f"{offer.capitalize()} {_in_words(allowed)}" if nearest else f"{offer} {_in_words(allowed)}"
    return f"{told}{nearest} {offered}" if nearest else f"{told}; {offered}"


def _keys(model: type[pydantic.BaseModel]) -> Iterator[str]:
    """Yield the keys that may be written; excluded fields exist only to be refused by name."""
    for name, info in model.model_fields.items():
        if not info.exclude:
            yield info.alias or name


def _models_at(model: Any, location: list[int | str]) -> list[type[pydantic.BaseModel]]:
    """Return the models allowed at a validator's location, which consists of keys, indexes and union members."""
    here = list(_members(model))
    for part in location:
        inner = [each for annotation in here for each in _inside(annotation, part)]
        here = inner or [each for each in here if _is_model(each)]
    return [each for each in here if _is_model(each)]


def _inside(annotation: Any, part: int | str) -> Iterator[Any]:
    """Yield the annotations under `part`; the name of a union member leads to that member."""
    if _is_model(annotation):
        yield from _inside_model(annotation, part)
        return
    arguments = [each for each in get_args(annotation) if each is not Ellipsis]
    if not arguments or get_origin(annotation) is Literal:
        return
    if isinstance(part, int) or len(arguments) > 1:
        yield from _members(arguments[-1])


def _inside_model(model: type[pydantic.BaseModel], part: int | str) -> Iterator[Any]:
    field = next((info for name, info in model.model_fields.items() if part in (info.alias, name)), None)
    if field is not None:
        yield from _members(field.annotation)
    elif part == model.__name__ or any(
        part in _constants(info.annotation) for info in model.model_fields.values()
    ):
        yield model


def _constants(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _members(annotation: Any) -> Iterator[Any]:
    """Yield the plain annotations in one with `Annotated`, aliases and unions."""
    origin = get_origin(annotation)
    if hasattr(annotation, "__value__"):
        yield from _members(annotation.__value__)
    elif origin is Annotated:
        yield from _members(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for each in get_args(annotation):
            yield from _members(each)
    else:
        yield annotation


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel)
