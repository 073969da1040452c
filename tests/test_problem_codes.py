"""Every problem that the gateway can raise has a row in docs/operate.md that says what to do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = [path for path in (ROOT / "edge_gateway").rglob("*.py") if "cli" not in path.parts]
RAISING = {"raise_", "tell"}
KIND_CODES = {"Kind", "Bound"}
"""Tables of problems: the first argument of these is a code."""


def constants(trees: list[ast.Module]) -> dict[str, str]:
    """Texts that have a name of their own."""
    found = {}
    for tree in trees:
        for node in tree.body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                if isinstance(target, ast.Name) and isinstance(node.value.value, str):
                    found[target.id] = node.value.value
    return found


def codes_in(trees: list[ast.Module]) -> Iterator[str]:
    """What is raised as a problem; of a code that is put together, its beginning and `…`."""
    named = constants(trees)
    for node in (node for tree in trees for node in ast.walk(tree)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        is_raising = isinstance(node.func, ast.Attribute) and node.func.attr in RAISING
        is_row = isinstance(node.func, ast.Name) and node.func.id in KIND_CODES
        match node.args[0] if is_raising or is_row else None:
            case ast.Constant(value=str(text)) if "=" not in text:  # else it is told to the service manager
                yield text
            case ast.Name(id=name) if name in named:
                yield named[name]
            case ast.JoinedStr(values=[ast.Constant(value=str(start)), *_]):
                yield f"{start}…"


def explained() -> set[str]:
    """The codes that have a row; `x_…` stands for all that begin so."""
    page = (ROOT / "docs" / "operate.md").read_text()
    rows = page[page.index("## Problems") : page.index("## Counters")].splitlines()
    return {
        code for row in rows if row.startswith("| `") for code in re.findall(r"`([^`]+)`", row.split("|")[1])
    }


def test_every_problem_says_what_to_do() -> None:
    codes = set(codes_in([ast.parse(path.read_text()) for path in SOURCES]))
    assert {"disk", "echo", "subscription", "devices_unheard"} <= codes, "the walk finds them"
    rows = explained()
    starts = tuple(row.removesuffix("…") for row in rows if row.endswith("…"))
    missing = {
        code
        for code in codes
        if code not in rows
        and not code.startswith(starts)
        and not (code.endswith("…") and any(row.startswith(code.removesuffix("…")) for row in rows))
    }
    assert not missing
