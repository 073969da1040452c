"""Output of both command lines: results on standard output, errors on standard error."""

import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from fleet_console.drawing import Line, Table, draw
from fleet_wire.printable import json_line, printable

__all__ = ["complain", "console", "say", "say_json"]

console = Console()
_errors = Console(stderr=True)


def say(*blocks: Table | Line | str) -> None:
    """Print tables, paragraphs and plain lines on standard output."""
    draw(console, *(Line(block) if isinstance(block, str) else block for block in blocks))


def say_json(value: Any) -> None:
    """Print one value as one line of JSON on standard output."""
    sys.stdout.write(json_line(value, encoding=sys.stdout.encoding) + "\n")


def complain(*texts: str) -> None:
    """Print texts on standard error, one per line and unwrapped, so that editors find file:line:column in them."""
    style = "red" if _errors.is_terminal else ""
    for text in texts:
        _errors.print(Text(printable(text, None), style=style), soft_wrap=True, highlight=False)
