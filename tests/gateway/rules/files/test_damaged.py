"""The shipped rules, damaged at random: each is loaded or refused with places, and what loads is checked and kept.

`python -m tests.gateway.rules.files.test_damaged 10000` tries more than the sample here.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from edge_gateway.rules.files.cannot_work import KnownDevice, KnownNames, warnings_of
from edge_gateway.rules.files.load import load_placed
from edge_gateway.rules.language.ruleset import RuleSet
from fleet_config.problems import ProblemsFound

RULES = Path(__file__).parents[4] / "rules"
TEXTS = [file.read_text() for file in sorted(RULES.glob("*.yaml")) if not file.name.endswith(".test.yaml")]
PIECES = (
    *[
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "'",
        '"',
        "#",
        "&a",
        "*a",
        "!!str",
        "null",
        "true",
        "[]",
        "{}",
        "0",
        "-1",
        "1e999",
        ".nan",
        "1:30",
        "5m",
        "alert",
        "expr",
        "levels",
        "match",
        "≥",
        "|",
        ">",
    ],
    *(": ", "- ", "\n", "  ", "\t", "x > 1"),
)
KNOWN = KnownNames(
    [KnownDevice("s", "d", "freezer", {"room": "r"})], frozenset({"temperature"}), lambda _: True
)


def damaged(dice: random.Random) -> str:
    text = dice.choice(TEXTS)
    for _ in range(dice.randint(1, 3)):
        at, lines = dice.randrange(len(text)), text.splitlines(keepends=True)
        match dice.randrange(4):
            case 0:
                text = text[:at] + dice.choice(PIECES) + text[at:]
            case 1:
                text = text[:at] + text[at + dice.randint(1, 12) :]
            case 2:
                text = "".join(
                    dice.sample(lines, len(lines)) if dice.random() < 0.1 else lines[: at % len(lines)]
                )
            case _:
                words = text.split(" ")
                words[at % len(words)] = dice.choice(words + list(PIECES))
                text = " ".join(words)
        text = text or "x"
    return text


def tried(text: str, directory: Path) -> str:
    file = directory / "rules.yaml"
    file.write_text(text)
    try:
        loaded = load_placed(file)
    except ProblemsFound as found:
        lines = text.split("\n")
        for problem in found.problems:
            within = 1 <= problem.line <= len(lines) and problem.column <= len(lines[problem.line - 1]) + 1
            if not within:
                raise AssertionError(f"{problem}\n{text}") from found
        return "refused"
    rules = loaded.rule_set
    assert RuleSet.from_plain(rules.to_plain()) == rules
    warnings_of(loaded.placed, KNOWN)
    return "loaded"


def tally(seed: int, count: int, directory: Path) -> Counter[str]:
    dice = random.Random(seed)
    return Counter(tried(damaged(dice), directory) for _ in range(count))


@pytest.mark.parametrize("seed", range(4))
def test_damaged_rules_are_loaded_or_refused_with_places(seed: int, tmp_path: Path) -> None:
    found = tally(seed, 60, tmp_path)
    assert min(found["loaded"], found["refused"]) > 2


if __name__ == "__main__":
    with TemporaryDirectory() as place:
        sys.stdout.write(f"{dict(tally(0, int(sys.argv[1]), Path(place)))}\n")
