"""The ways in which people and programs change rule files, and what they write."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.proofs.ground.field import RULES

FILLERS = 100
PIECES = (0.01, 0.05, 0.2)
"""Seconds between the pieces of a file."""
FIELD, EXTRA = "field.yaml", "extra.yaml"
INSIDE = 'expr: "level'
"""A file that ends here is no YAML: what a gateway makes of half a file cannot be valid."""
BROKEN = (
    'version: 1\ngroups:\n- name: g\n  rules:\n  - {alert: Hot, expr: "heat',
    "version: 1\ngroups:\n- name: field\n  rules:\n  - {alert: Hot, expr: heat, above: 5, above: 6}\n",
    "version: 1\ngroups:\n- name: field\n  rules:\n  - {alert: Hot, expr: heet +, above: 5}\n",
    "\0\0\0\0",
    "groups: {}\n",
)


def field_text(chance: random.Random) -> str:
    """The rules of the field. No edit changes when `Hot` fires or ends: its devices' readings say how often it must."""
    text = RULES.replace(
        "critical: {above: 9, clear: 7}", f"critical: {{above: {chance.choice((8, 9))}, clear: 7}}"
    )
    text = text.replace("above: 60, clear: 55", f"above: {chance.randint(58, 62)}, clear: 55")
    text = text.replace("for: 1s", f"for: {chance.choice((1, 2))}s")
    if chance.random() < 0.3:
        text = text.replace("- name: field", f"- name: field{chance.randint(1, 3)}")
    return text + f"# edited {chance.getrandbits(20)}\n" * chance.randint(0, 2)


def extra_text(chance: random.Random) -> str:
    """A hundred rules that never fire, and some that always do: they come and go, and end as they go."""
    always = chance.sample(range(5), chance.randint(0, 3))
    lines = [f'  - {{alert: Always{number}, expr: "level", above: 0, severity: info}}' for number in always]
    lines += [
        f'  - {{alert: Never{number}, expr: "level", above: {1000 + number}}}' for number in range(FILLERS)
    ]
    return "\n".join(["version: 1", "groups:", "- name: extra", "  rules:", *lines, ""])


class Repository:
    """A git repository whose working tree is the rules' directory."""

    def __init__(self, rules: Path) -> None:
        self._rules = rules
        self._git("init", "--quiet")

    def commit(self) -> str:
        """Commit the files as they are; return the commit."""
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "--message", "rules")
        return self._git("rev-parse", "HEAD").strip()

    def checkout(self, commit: str) -> None:
        self._git("checkout", "--quiet", "--force", commit)

    def _git(self, *arguments: str) -> str:
        who = ("-c", "user.name=editor", "-c", "user.email=editor@example.com", "-c", "commit.gpgsign=false")
        done = subprocess.run(
            ["git", *who, *arguments], cwd=self._rules, capture_output=True, text=True, check=True
        )
        return done.stdout


def write_in_place(file: Path, text: str, _: random.Random) -> None:
    file.write_text(text)


def write_in_pieces(file: Path, text: str, chance: random.Random) -> None:
    """Write a file up to the middle of a rule, wait, and write the rest."""
    end = text.find(INSIDE)
    with file.open("w") as out:
        for piece in (text[: end + len(INSIDE)], text[end + len(INSIDE) :]) if end >= 0 else (text,):
            out.write(piece)
            out.flush()
            time.sleep(chance.choice(PIECES))


def write_and_rename(file: Path, text: str, _: random.Random) -> None:
    beside = file.with_name(f".{file.name}.new")
    beside.write_text(text)
    beside.replace(file)


def swap_symlink(file: Path, text: str, chance: random.Random) -> None:
    """Write another file elsewhere, and let the name point to it."""
    elsewhere = file.parent.parent / "versions"
    elsewhere.mkdir(exist_ok=True)
    target = elsewhere / f"{file.stem}-{chance.getrandbits(40):x}"
    target.write_text(text)
    link = file.with_name(f".{file.name}.link")
    link.symlink_to(target)
    link.replace(file)


def missing_for_a_moment(file: Path, text: str, chance: random.Random) -> None:
    file.unlink()
    time.sleep(chance.choice(PIECES))
    file.write_text(text)


Editor = Callable[[Path, str, random.Random], None]
EDITORS: tuple[Editor, ...] = (
    write_in_place,
    write_in_pieces,
    write_and_rename,
    swap_symlink,
    missing_for_a_moment,
)
