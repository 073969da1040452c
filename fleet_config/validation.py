"""Checking a document against a pydantic model: every mistake at once, at its place, in plain English."""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import pydantic

from fleet_config.explain import REFUSED_KEY, alternatives, explain, is_wrong_kind
from fleet_config.problems import MOST_PROBLEMS, Problem, ProblemsFound
from fleet_config.secrecy import HIDDEN, names_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema, ErrorDetails

    from fleet_config.document import Document, Path

M = TypeVar("M", bound=pydantic.BaseModel)


def _make_scalars_strict(schema: Any) -> None:
    if isinstance(schema, dict):
        if schema.get("type") in ("int", "float", "str", "bool"):
            schema.setdefault("strict", True)
        for name, inner in schema.items():
            if name not in ("metadata", "default"):
                _make_scalars_strict(inner)
    elif isinstance(schema, (list, tuple)):
        for inner in schema:
            _make_scalars_strict(inner)


class Strict(pydantic.BaseModel):
    """A frozen model that refuses unknown keys and silent conversions (`"5"` is not a number, `yes` not a boolean).

    Collections are converted as annotated, so a list in the file can fill a tuple or a set. To start programs faster,
    validators are built when first used, and docstrings of fields, which are the descriptions in the JSON Schema, are
    read from the source only for that.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", populate_by_name=True, defer_build=True)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: pydantic.GetCoreSchemaHandler, /
    ) -> CoreSchema:
        schema = handler(source)
        _make_scalars_strict(schema)
        return schema

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: pydantic.GetJsonSchemaHandler, /
    ) -> JsonSchemaValue:
        made = handler(schema)
        properties = handler.resolve_ref_schema(made).get("properties", {})
        texts = dict(_docstrings_of(cls))
        for name, field in cls.model_fields.items():
            if name in texts:
                properties[field.alias or name]["description"] = texts[name]
        return made


def _docstrings_of(model: type[Strict]) -> Iterator[tuple[str, str]]:
    """Yield (attribute, docstring) for each attribute that has one, inherited ones first."""
    for each in reversed(model.__mro__):
        if issubclass(each, Strict):
            yield from _docstrings_in(each)


def _docstrings_in(model: type[Strict]) -> Iterator[tuple[str, str]]:
    try:
        source = textwrap.dedent(inspect.getsource(model))
    except (OSError, TypeError):  # made by a function, such as create_model
        return
    [definition] = ast.parse(source).body
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    for field, text in pairwise(body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(docstring))):
                yield name, inspect.cleandoc(docstring)


def validate(model: type[M], document: Document, *, at: Path = ()) -> M:
    """The part of the document at `at` as a `model`; ProblemsFound with every fault at line:column."""
    data = document.get(at)
    try:
        return model.model_validate(data)
    except pydantic.ValidationError as error:
        details = [each for each in error.errors(include_url=False) if not _counts_valid_items_only(each)]
    raise ProblemsFound(_problems(model, document, at, data, details))


def _counts_valid_items_only(details: ErrorDetails) -> bool:
    """Return whether a collection is called too short only because pydantic does not count invalid items."""
    return details["type"] == "too_short" and len(details["input"]) >= details["ctx"]["min_length"]


class _Found(NamedTuple):
    """One error of the validator: the path of its value, and the union members it was found under."""

    path: Path
    members: tuple[tuple[Path, str], ...]
    details: ErrorDetails


def _problems(
    model: type[M], document: Document, at: Path, data: Any, details: list[ErrorDetails]
) -> list[Problem]:
    found = _settle_unions([_locate(data, each) for each in details])
    problems = [_problem(model, document, at, each) for each in found[:MOST_PROBLEMS]]
    if len(found) > MOST_PROBLEMS:
        problems.append(
            document.problem(at, f"{len(found)} mistakes in all; these are the first {MOST_PROBLEMS}")
        )
    return problems


def _problem(model: type[M], document: Document, at: Path, found: _Found | list[_Found]) -> Problem:
    nearest = found[0] if isinstance(found, list) else found
    if nearest.path and names_secret(nearest.path[-1]):
        found = _hidden(found)
    if isinstance(found, list):
        path = at + found[0].path
        return document.problem(path, alternatives([each.details for each in found], path))
    kind = found.details["type"]
    path = at + found.path
    if kind == "union_tag_invalid":
        path = (*path, _discriminator(found.details))
    at_key = kind in ("extra_forbidden", "missing", "union_tag_not_found", REFUSED_KEY) or _is_key(found)
    return document.problem(path, explain(model, found.details, path), key=at_key)


def _hidden(found: _Found | list[_Found]) -> _Found | list[_Found]:
    """Return it without the value, which may be a misplaced secret."""
    if isinstance(found, list):
        return [each._replace(details={**each.details, "input": HIDDEN}) for each in found]
    return found._replace(details={**found.details, "input": HIDDEN})


def _discriminator(details: ErrorDetails) -> str:
    return str(details.get("ctx", {}).get("discriminator", "")).strip("'")


def _is_key(found: _Found) -> bool:
    return found.details["loc"][-1:] == ("[key]",)


def _locate(data: Any, details: ErrorDetails) -> _Found:
    """Follow an error's location through the data; a part that the data lack is the name of a union member."""
    path: list[str | int] = []
    members: list[tuple[Path, str]] = []
    value: Any = data
    for part in details["loc"]:
        if _holds(value, part):
            value = value[part]
            path.append(part)
        elif isinstance(part, str) and part != "[key]":
            members.append((tuple(path), part))
    if details["type"] == "missing" and members:
        members.pop()  # the last part is the missing key itself
    return _Found(tuple(path), tuple(members), details)


def _holds(value: Any, part: int | str) -> bool:
    if isinstance(value, dict):
        return part in value
    return isinstance(value, list) and isinstance(part, int) and part < len(value)


def _settle_unions(found: list[_Found]) -> list[_Found | list[_Found]]:
    """For a value that fits no member of a union, keep the errors of the member most likely meant."""
    groups: dict[Path, list[_Found]] = {}
    settled: list[_Found | list[_Found]] = []
    for each in found:
        if each.members:
            groups.setdefault(each.members[0][0], []).append(each)
        else:
            settled.append(each)
    for path, group in groups.items():
        settled.extend(_settle_one(path, group))
    return settled


def _settle_one(path: Path, group: list[_Found]) -> list[_Found | list[_Found]]:
    by_member: dict[str, list[_Found]] = {}
    for each in group:
        by_member.setdefault(each.members[0][1], []).append(each)
    if len(by_member) == 1:
        return list(_settle_unions([each._replace(members=each.members[1:]) for each in group]))
    close = [errors for errors in by_member.values() if not _is_far(path, errors)]
    if not close:
        return [[errors[0] for errors in by_member.values()]]
    nearest = min(close, key=len)
    return list(_settle_unions([each._replace(members=each.members[1:]) for each in nearest]))


def _is_far(path: Path, errors: list[_Found]) -> bool:
    """Return whether a member cannot be meant, because the value is of another kind."""
    return any(each.path == path and is_wrong_kind(each.details) for each in errors)
