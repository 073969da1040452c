"""What a pure module may import and call: no clock, socket, file or randomness, and no order by chance.

Two allow-lists, of imports and of builtins: what nobody thought of is refused. Ways round them are refused too. An
imported module may stand only before a dot, so `getattr(np, "random")` is refused. What a module of ours passes on,
such as `edge_gateway.columns.frame.np`, is judged by where it comes from. `hash` of a string differs from process to
process and `id` is an address, so neither is allowed, nor is binding such a name at the top of a module or a class.

Iterating over a set of strings has an order by chance as well, which no syntax shows: replays that must end in equal
states (tests/gateway/recovery) are there for it.
"""

import ast
import builtins
import re
import symtable
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple

import numpy as np

from tests.architecture.rooms import files_of, imported_names, room_of

PURE_ROOMS: Final = ("fold", "rules", "windows", "fleet", "records", "columns")
IMPURE_PARTS: Final = ("edge_gateway.rules.files", "edge_gateway.rules.testing")
"""Of the pure rooms: these read rule files and write reports about them."""
PURE_SHARED: Final = (
    "fleet_config.counting",
    "fleet_config.document",
    "fleet_config.durations",
    "fleet_config.explain",
    "fleet_config.match",
    "fleet_config.problems",
    "fleet_config.secrecy",
    "fleet_config.spelling",
    "fleet_wire.control_messages",
    "fleet_wire.payload",
    "fleet_wire.plain_reasons",
    "fleet_wire.printable",
    "fleet_wire.telemetry",
    "fleet_wire.topics",
)
"""Modules of other packages that pure rooms use: held to the same rules."""
OURS: Final = {"edge_gateway", *(module.partition(".")[0] for module in PURE_SHARED)}
RUN_ON_IMPORT: Final = (
    "edge_gateway/__init__.py",
    "edge_gateway/errors.py",
    "fleet_config/__init__.py",
    "fleet_wire/__init__.py",
)
"""Files outside the pure rooms that importing a pure room runs: held to the same rules."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


WHOLE_MODULES: Final = _words(
    "__future__ bisect collections collections.abc dataclasses difflib enum fractions functools itertools math "
    "msgspec msgspec.json msgspec.msgpack msgspec.structs numpy.typing pydantic_core.core_schema re struct typing "
    "unicodedata"
)
"""Every public name in them is pure, but a module within is allowed only if it stands here too."""

SOME_NAMES: Final = {
    "fnmatch": {"translate"},
    "hashlib": {"blake2b", "sha256"},
    "json": {"dumps", "loads"},
    "msgpack": {"packb", "unpackb"},
    "pydantic": _words(  # not those that look at the clock or the disk, as PastDatetime and FilePath do
        "BaseModel BeforeValidator Field GetCoreSchemaHandler GetJsonSchemaHandler GetPydanticSchema PlainSerializer "
        "ValidationError WithJsonSchema"
    ),
    "pydantic_core": {"CoreSchema", "ErrorDetails", "PydanticCustomError"},
    "types": {"UnionType"},
    "zstandard": {"ZstdCompressor", "ZstdDecompressor", "ZstdError", "frame_content_size"},
    "numpy": _words(
        "append arange argsort array array_equal array_split ascontiguousarray asarray bincount broadcast_to clip "
        "column_stack concatenate copyto count_nonzero cumsum diff dtype empty empty_like errstate flatnonzero "
        "frombuffer fromiter full full_like generic inf iinfo finfo insert interp isin lexsort min nan ndarray "
        "nonzero ones ones_like packbits partition quantile repeat searchsorted setdiff1d sort split stack take "
        "union1d unique unpackbits vstack where zeros zeros_like lib lib.format lib.format.descr_to_dtype "
        "lib.format.dtype_to_descr"
    ),
}
"""Of these modules only these names; of numpy every ufunc and every number's type besides."""

ONLY_HERE: Final = {
    "edge_gateway/records/codec.py": {"threading.local"},  # a compressor for each thread
    "edge_gateway/fleet/decoders/diagnosis.py": {"datetime.datetime"},  # a type of decoded values
    "edge_gateway/errors.py": {"pathlib.Path"},  # a type of arguments
}
TYPES_ONLY: Final = {"datetime.datetime", "pathlib.Path"}
"""Imports that may only stand as the class in a `match` or an annotation: what else they do is not pure."""

BUILTINS: Final = _words(
    "abs all any bool bytearray bytes callable chr classmethod dict divmod enumerate filter float format "
    "frozenset getattr hasattr int isinstance issubclass iter len list map max memoryview min next object ord "
    "pow property range repr reversed round set setattr slice sorted staticmethod str sum super tuple type zip "
    "Ellipsis NotImplemented True False None __name__ __doc__"
) | {
    name
    for name, held in vars(builtins).items()
    if isinstance(held, type) and issubclass(held, BaseException) and not issubclass(held, OSError)
}
DUNDERS: Final = {
    "__init__",
    "__name__",
    "__qualname__",
    "__class__",
    "__contains__",
    "__setattr__",
    "__value__",
    "__dataclass_fields__",
    "__members__",
}
"""Others, such as `__globals__`, lead to whatever a module imported."""

WRITING: Final = {"tofile", "dump", "read_text", "read_bytes", "write_text", "write_bytes"}
"""Methods of arrays, serializers and paths that touch a file."""
LEADING_OUT: Final = re.compile(r"[<>=|]?M8.*|datetime64.*|__\w+__")
"""Texts that are refused: numpy's types of dates, as `np.array("now", "M8[s]")` reads the clock, and dunder names."""


class Finding(NamedTuple):
    line: int
    text: str


def pure_files() -> list[Path]:
    """Every file that must be pure, relative to the repository."""
    own = (path for path in files_of("edge_gateway") if room_of(path) in PURE_ROOMS)
    shared = (Path(*module.split(".")).with_suffix(".py") for module in PURE_SHARED)
    run = map(Path, RUN_ON_IMPORT)
    return [*(path for path in own if not _within(_module_of(path), IMPURE_PARTS)), *shared, *run]


def findings_in(source: str, path: Path) -> Iterator[Finding]:
    """What in a module's source is not pure; `path` is relative to the repository."""
    tree = ast.parse(source)
    extra = ONLY_HERE.get(path.as_posix(), set())
    yield from _imports(tree, extra)
    yield from _attributes(tree, extra)
    yield from _types_only(tree, extra)
    yield from _texts(tree)
    yield from _unknown_globals(source, path)


def allowed(dotted: str) -> bool:
    """Whether a pure module may use a module, or a name in a module."""
    if dotted in WHOLE_MODULES or dotted in SOME_NAMES:
        return True
    package, _, rest = dotted.partition(".")
    module, _, name = dotted.rpartition(".")
    if package in OURS:
        return _is_pure_module_or_in_one(dotted) and _comes_from_where_it_may(dotted)
    if package in SOME_NAMES and module not in WHOLE_MODULES:
        return rest in SOME_NAMES[package] or (package == "numpy" and _computes(rest))
    if module not in WHOLE_MODULES or name.startswith("_"):
        return False
    return hasattr(import_module(module), name) and not isinstance(_held(dotted), ModuleType)


def _is_pure_module_or_in_one(dotted: str) -> bool:
    rooms = {f"edge_gateway.{room}" for room in (*PURE_ROOMS, "errors")}
    return _within(dotted, rooms | set(PURE_SHARED)) and not _within(dotted, IMPURE_PARTS)


def _comes_from_where_it_may(dotted: str) -> bool:
    """Whether what a name in a module of ours stands for, if a module or a class, is allowed where it was made."""
    held = _held(dotted)
    if isinstance(held, ModuleType):
        return held.__name__ == dotted or allowed(held.__name__)
    if not isinstance(held, type) or held.__module__ == "builtins":
        return True
    home = f"{held.__module__}.{held.__qualname__}"
    return home == dotted or allowed(home)


def _held(dotted: str) -> object:
    """What a dotted name stands for; None if there is no such thing."""
    module, _, name = dotted.rpartition(".")
    try:
        return getattr(import_module(module), name) if module else import_module(dotted)
    except AttributeError:
        return import_module(dotted) if find_spec(dotted) else None
    except (ImportError, ValueError):
        return None


def _computes(name: str) -> bool:
    """Whether numpy's name is a ufunc or a number's type; `datetime64("now")` reads the clock."""
    held = getattr(np, name, None)
    if isinstance(held, type):
        return issubclass(held, np.number | np.bool_ | np.void | np.ufunc)
    return isinstance(held, np.ufunc)


def _within(module: str, parts: Iterable[str]) -> bool:
    return any(module == part or module.startswith(f"{part}.") for part in parts)


def _module_of(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _imports(tree: ast.Module, extra: set[str]) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name in imported_names(node):
                if not (allowed(name) or any(_within(one, [name]) for one in extra)):
                    yield Finding(node.lineno, f"imports {name}")


def _attributes(tree: ast.Module, extra: set[str]) -> Iterator[Finding]:
    """Names in modules that are not allowed, modules that are handed on, and attributes that lead out."""
    modules = dict(_names_of_modules(tree))
    before_a_dot = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        before_a_dot.add(node.value)
        owner = _module_at(node.value, modules)
        if owner and not (allowed(f"{owner}.{node.attr}") or f"{owner}.{node.attr}" in extra):
            yield Finding(node.lineno, f"uses {owner}.{node.attr}")
        if node.attr in WRITING or (node.attr.startswith("__") and node.attr not in DUNDERS):
            yield Finding(node.lineno, f"uses .{node.attr}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in modules and node not in before_a_dot:
            yield Finding(node.lineno, f"hands on the module {node.id}")


def _module_at(node: ast.expr, modules: dict[str, str]) -> str:
    """The module that an expression names: "numpy.lib" of `np.lib`; "" where it names none."""
    if isinstance(node, ast.Name):
        return modules.get(node.id, "")
    if isinstance(node, ast.Attribute) and (owner := _module_at(node.value, modules)):
        held = _held(f"{owner}.{node.attr}")
        return held.__name__ if isinstance(held, ModuleType) else ""
    return ""


def _names_of_modules(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each name that an import binds to a module, and the module: "np" and "numpy"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                bound = name.name if name.asname else name.name.partition(".")[0]
                yield name.asname or bound, bound
        elif isinstance(node, ast.ImportFrom):
            for name in node.names:
                dotted = f"{node.module}.{name.name}"
                if not node.level and allowed(dotted) and isinstance(held := _held(dotted), ModuleType):
                    yield name.asname or name.name, held.__name__


def _types_only(tree: ast.Module, extra: set[str]) -> Iterator[Finding]:
    names = {name.rpartition(".")[2] for name in extra & TYPES_ONLY}
    classes: set[ast.AST] = {node.cls for node in ast.walk(tree) if isinstance(node, ast.MatchClass)}
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
            classes |= set(ast.walk(node.annotation))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in names and node not in classes:
            yield Finding(node.lineno, f"uses {node.id} other than as a type")


def _texts(tree: ast.Module) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(text := node.value, str):
            continue
        if LEADING_OUT.fullmatch(text) and text not in DUNDERS:
            yield Finding(node.lineno, f"says {text!r}")


def _unknown_globals(source: str, path: Path) -> Iterator[Finding]:
    """Builtins that are not allowed: names that a module does not bind itself, and such builtins that it binds."""
    refused = vars(builtins).keys() - BUILTINS
    whole = symtable.symtable(source, path.as_posix(), "exec")
    bound = {name.get_name() for name in whole.get_symbols() if name.is_assigned() or name.is_imported()}
    tables = [whole]
    for table in tables:
        tables += table.get_children()
        for symbol in table.get_symbols():
            name = symbol.get_name()
            unknown = symbol.is_global() and name not in (bound - refused) | BUILTINS
            in_class = table.get_type() == "class" and symbol.is_referenced() and name in refused
            if unknown or in_class:
                yield Finding(table.get_lineno(), f"uses the builtin {name}")
