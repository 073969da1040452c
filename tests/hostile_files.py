"""What may stand where a YAML file is wanted, what is said of it, and how a test hears that."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import chdir, closing
from pathlib import Path

from fleet_config.problems import ProblemsFound

MIB = 1 << 20
PATIENCE = 60.0
RULE = "version: 1\ngroups:\n- name: g\n  rules:\n  - {alert: A, expr: temperature, above: 1%s}\n"


def _loop(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))
    path.with_name("elsewhere").symlink_to(path)


def _socket(path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as bound, chdir(path.parent):
        bound.bind(path.name)  # a whole path may be too long for an address


def _huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 100 * MIB)


NO_FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "fifo": (os.mkfifo, "is a FIFO; it must be a file"),
    "directory": (Path.mkdir, "is a directory; it must be a file"),
    "socket": (_socket, "is a socket; it must be a file"),
    "zero": (lambda path: path.symlink_to("/dev/zero"), "is a device; it must be a file"),
    "loop": (_loop, "cannot be read: it is a symbolic link that leads back to itself"),
    "dangling": (lambda path: path.symlink_to("nothing"), "no such file"),
    "huge": (_huge, "larger than 1 MiB"),
}
"""By name: what makes it at a path, and the fault that is told of it at 1:1."""


def _many(expression: str) -> str:
    rules = (f"  - {{alert: A{number}, expr: {expression}, above: 1}}\n" for number in range(9_000))
    return RULE % "" + "".join(rules)


TEXTS: dict[str, tuple[str, str]] = {
    "opened": (RULE % (", annotations: {summary: '" + "{{" * 40_000 + "'}"), "at most 1,024 characters"),
    "filled": (RULE % (", annotations: {summary: '" + "{{ value }}" * 40_000 + "'}"), "at most 1,024 characters"),
    "deep": (RULE % (", labels: " + "[" * 100_000), "nested deeper than 32 levels"),
    "brackets": (RULE.replace("temperature", f"'{'(' * 100_000}'") % "", "at most 4096 characters"),
    "aliases": ("a: &a [x]\n" + "".join(f"k{n}: [*a, *a]\n" for n in range(5_000)), "would be a YAML alias"),
    "anchors": ("".join(f"k{n}: &a{n} 1\n" for n in range(20_000)), "the rest of the file was not read"),
    "doubled": ("a: 1\n" * 100_000, "the rest of the file was not read"),
    "unknown": ("".join(f"k{n}: 1\n" for n in range(49_000)), "these are the first 100"),
    "rules": (_many("t"), "more than 2000 rules"),
    "expressions": (_many("t +"), "expected a value"),
    "values": ("".join(f"k{n}: 1\n" for n in range(80_000)), "more than 50000 values in one file"),
    "digits": (f"version: {'9' * 500_000}\n", "a number of 500000 digits"),
    "minutes": (f"version: {'1:' * 200_000}1\n", "is not allowed; one of 1"),
    "unclosed": (RULE % "" + '  - {alert: "' + "x\n" * 300_000, "the closing quote is missing"),
}  # fmt: skip
"""By name: a text below 1 MiB that would be dear to read, and what is said of it."""


def refusal_of(load: Callable[[], object]) -> ProblemsFound:
    """Return what `load` raises. It runs in a thread of its own, so that what blocks for ever fails the test."""
    raised: list[ProblemsFound] = []

    def run() -> None:
        try:
            load()
        except ProblemsFound as found:
            raised.append(found)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "it is still being read"
    return raised[0]
