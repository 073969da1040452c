"""Why a payload does not fit, in words that its sender can act on, from the sentences of msgspec's errors."""

from __future__ import annotations

import re
from typing import Final

_TYPES: Final = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bytes": "bytes",
    "bool": "true or false",
    "object": "a map",
    "array": "a list",
    "null": "nil",
    "None": "nil",
    "ext": "an extension type",
    "datetime": "a timestamp",
}
_SIZED: Final = {"str": "characters", "object": "entries", "array": "values"}

_PLACED: Final = re.compile(r"(?P<fault>.*?)(?: - at (?P<key>`key` in )?`\$\.?(?P<place>[^`]*)`)?", re.DOTALL)
_EXPECTED: Final = re.compile(
    r"Expected `(?P<types>[^`]+)`"
    r"(?: (?P<bound>>=|<=|>|<) (?P<limit>\S+?)| of length (?P<at_most><=|>=)? ?(?P<length>\d+)"
    r"| matching regex (?P<pattern>'.*'))?"
    r"(?:, got (?P<got>.+))?"
)
_MISSING: Final = re.compile(r"Object missing required field `(?P<name>[^`]+)`")
_ENUM: Final = re.compile(r"Invalid (?:enum )?value (?P<value>.+)")
_TRAILING: Final = re.compile(r"MessagePack data is malformed: trailing characters \(byte (?P<byte>\d+)\)")
_OPCODE: Final = re.compile(r"MessagePack data is malformed: (?P<fault>.+) \(byte (?P<byte>\d+)\)")
_BOUNDS: Final = {">=": "of at least", "<=": "of at most", ">": "above", "<": "below"}


def plain_reason(fault: str) -> str:
    """Return the sentence of an error of msgspec as `place: what was expected, what came`; unchanged if not known."""
    found = _PLACED.fullmatch(fault)
    what, place = (found["fault"], found["place"] or "") if found else (fault, "")
    if missing := _MISSING.fullmatch(what):
        return f"{place}.{missing['name']} is missing" if place else f"{missing['name']} is missing"
    said = _expected(what) or _other(what)
    if said is None:
        return fault
    if found and found["key"]:
        return f"a key of {place or 'the message'}: {said}"
    return f"{place}: {said}" if place else said


def _expected(what: str) -> str | None:
    """Return what was expected and what came; None if the sentence says something else."""
    if not (found := _EXPECTED.fullmatch(what)):
        return None
    kinds = [kind for kind in found["types"].split(" | ") if kind != "null"]
    said = " or ".join(_TYPES.get(kind, kind) for kind in kinds)
    if found["bound"]:
        said += f" {_BOUNDS[found['bound']]} {found['limit']}"
    if found["length"]:
        most = {"<=": "at most ", ">=": "at least "}.get(found["at_most"] or "", "")
        said += f" of {most}{found['length']} {_SIZED.get(kinds[0], 'bytes')}"
    if found["pattern"]:
        said += f" that matches {found['pattern']}"
    if not found["got"]:
        return f"expected {said}"
    got = found["got"].strip("`")
    return f"expected {said}, got {'a fraction' if got == 'float' else _TYPES.get(got, got)}"


def _other(what: str) -> str | None:
    """Return what is wrong with the bytes, or with a value out of a closed set; None for anything else."""
    if what == "Input data was truncated":
        return "truncated: the payload ends in the middle of the message"
    if found := _TRAILING.fullmatch(what):
        return f"trailing bytes: the message ends at byte {found['byte']}, and more follow"
    if found := _OPCODE.fullmatch(what):
        return f"not MessagePack: {found['fault']} at byte {found['byte']}"
    if found := _ENUM.fullmatch(what):
        return f"{found['value']} is not allowed"
    return None
