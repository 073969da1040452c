"""How the commands speak: results on standard output, complaints on standard error."""

import json
import sys
from typing import Any

from rich.console import Console

__all__ = ["complain", "console", "say_json"]

console = Console()
_errors = Console(stderr=True, soft_wrap=True)


def complain(text: str) -> None:
    """One text on standard error."""
    _errors.print(text, style="red" if _errors.is_terminal else None, markup=False, highlight=False)


def say_json(value: Any) -> None:
    """One value as one line of JSON on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
