"""Rule files from disk: every error of every file at once, each at its line and column."""

from __future__ import annotations

import os
import stat
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edge_gateway.rules.files.inhibits import MOST_INHIBITS, InhibitSpec, check_names, inhibit_of
from edge_gateway.rules.files.levels import check_expression
from edge_gateway.rules.files.model import AlertSpec, GroupSpec, RecordSpec, RuleFile
from edge_gateway.rules.files.places import Place, RuleSource
from edge_gateway.rules.files.resolve import alert_rule, record_rule
from edge_gateway.rules.language.ruleset import Rule, RuleSet, cycle_of
from fleet_config.bounded_file import UnreadableFile, read_file, why_unreadable
from fleet_config.counting import counted
from fleet_config.problems import MOST_PROBLEMS, NOWHERE, Problem, ProblemsFound
from fleet_config.validation import validate
from fleet_config.yaml_source import MAX_BYTES, load_yaml

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_gateway.rules.language.inhibits import Inhibit
    from edge_gateway.rules.language.ruleset import OnChange

__all__ = [
    "MOST_FILES",
    "MOST_RULES",
    "TEST_ENDINGS",
    "RuleSet",
    "is_rule_file",
    "is_test_file",
    "load_rules",
    "rule_files",
]

MOST_FILES: Final = 200
MOST_RULES: Final = 2_000
"""In one set. Rules are swapped between two batches; so many delay the next one by less than 0.1 s."""
ENDINGS: Final = (".yaml", ".yml")
TEST_ENDINGS: Final = tuple(f".test{ending}" for ending in ENDINGS)
_MOST_NAMED: Final = 5


def rule_files(path: Path) -> list[Path]:
    """The rule files of a directory (`is_rule_file`), or the file itself.

    ProblemsFound for a directory that cannot be read: it must not look like one without rules.
    """
    try:
        if not stat.S_ISDIR(path.stat().st_mode):
            return [path]
        with os.scandir(path) as entries:
            names = sorted(entry.name for entry in entries if is_rule_file(entry.name))
    except OSError as error:
        raise ProblemsFound([Problem(str(path), *NOWHERE, why_unreadable(error))]) from error
    if len(names) > MOST_FILES:
        raise ProblemsFound([Problem(str(path), *NOWHERE, f"more than {MOST_FILES} rule files")])
    return [path / name for name in names]


def is_rule_file(name: str) -> bool:
    """Whether a file of this name in a directory of rules holds rules: no dotfile, and no test."""
    return name.endswith(ENDINGS) and not name.startswith(".") and not name.endswith(TEST_ENDINGS)


def is_test_file(name: str) -> bool:
    """Whether a file of this name holds tests of rules."""
    return name.endswith(TEST_ENDINGS) and not name.startswith(".")


def _no_rule_file(directory: Path) -> ProblemsFound:
    """The error for a directory without a rule file. It names its other files, whose names may be wrong."""
    try:
        with os.scandir(directory) as entries:
            names = sorted(entry.name for entry in entries if _may_be_misnamed(entry))
    except OSError as error:
        return ProblemsFound([Problem(str(directory), *NOWHERE, why_unreadable(error))])
    shown = ", ".join(names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")
    among = f"among its {counted(len(names), 'file')} ({shown})" if names else "in this directory"
    fault = (
        f"no rule file {among}: the name of a rule file ends in {' or '.join(ENDINGS)}; "
        "for a gateway without rules write 'rules: null' in gateway.yaml"
    )
    return ProblemsFound([Problem(str(directory), *NOWHERE, fault)])


def _may_be_misnamed(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(".") and not is_test_file(entry.name) and entry.is_file()


def files_hash(path: Path) -> str:
    """16 hex digits that change with names and content of the rule files, readable or not; empty without any."""
    try:
        files = rule_files(path)
    except ProblemsFound:
        return ""
    content = blake2b(digest_size=8)
    for file in files:
        try:
            content.update(repr((file.name, read_file(file, MAX_BYTES))).encode())
        except UnreadableFile as error:
            content.update(repr((file.name, str(error))).encode())
    return content.hexdigest() if files else ""


def load_rules(path: Path | Sequence[Path], *, on_change: OnChange = "keep") -> RuleSet:
    """Load a directory, a file, or several of them. ProblemsFound with the errors of all files.

    `on_change` is the default for rules that do not set it.
    """
    return load_placed(path, on_change=on_change).rule_set


def load_placed(path: Path | Sequence[Path], *, on_change: OnChange = "keep") -> LoadedRules:
    """As `load_rules`, with the place of each rule."""
    paths = [path] if isinstance(path, Path) else path
    loader = _Loader(on_change)
    for each in paths:
        loader.read_all(each)
    return loader.finish()


class PlacedRule(NamedTuple):
    """A rule, and the place of its mapping in the file."""

    rule: Rule
    place: Place


class LoadedRules(NamedTuple):
    """The rules of all files with their places, and the inhibits."""

    placed: tuple[PlacedRule, ...]
    inhibits: tuple[Inhibit, ...]

    @property
    def rule_set(self) -> RuleSet:
        return RuleSet(tuple(each.rule for each in self.placed), inhibits=self.inhibits)


class _Loader:
    def __init__(self, on_change: OnChange) -> None:
        self._on_change = on_change
        self._problems: list[Problem] = []
        self._rules: list[PlacedRule] = []
        self._inhibits: list[tuple[InhibitSpec, Place]] = []
        self._records: dict[str, Place] = {}
        self._first: dict[tuple[str, str], Place] = {}

    def read_all(self, path: Path) -> None:
        try:
            files = rule_files(path)
            if not files:
                raise _no_rule_file(path)
            for file in files:
                self._read(file)
        except ProblemsFound as found:
            self._problems += found.problems

    def _read(self, file: Path) -> None:
        if self._is_full():
            return
        try:
            document = load_yaml(file)
        except ProblemsFound as found:
            self._problems += found.problems
            return
        source = RuleSource(document, self._problems, self._on_change)
        try:
            spec = validate(RuleFile, document)
        except ProblemsFound as found:
            self._problems += found.problems
            self._check_rest(source)
            return
        self._inhibits += [(each, source.at("inhibit", index)) for index, each in enumerate(spec.inhibit)]
        for index, group in enumerate(spec.groups):
            place = source.at("groups", index)
            self._claim("group", group.name, place.at("name"))
            for number, rule in enumerate(group.rules):
                self._rule(group, rule, place.at("rules", number))
                if self._is_full():
                    return

    def _is_full(self) -> bool:
        """Whether there are more errors or rules than will be reported."""
        return len(self._problems) >= MOST_PROBLEMS or len(self._rules) > MOST_RULES

    def _check_rest(self, source: RuleSource) -> None:
        """Check each rule of a file that is invalid as a whole, so that all its errors are shown at once."""
        data = source.document.data
        groups = data.get("groups") if isinstance(data, dict) else None
        for index, group in enumerate(groups if isinstance(groups, list) else []):
            rules = group.get("rules") if isinstance(group, dict) else None
            for number in range(len(rules) if isinstance(rules, list) else 0):
                if self._is_full():
                    return
                self._check_rest_of_rule(source.at("groups", index, "rules", number))

    def _check_rest_of_rule(self, place: Place) -> None:
        document = place.source.document
        raw = document.get(place.path)
        model = RecordSpec if isinstance(raw, dict) and "record" in raw else AlertSpec
        try:
            spec = validate(model, document, at=place.path)
        except ProblemsFound:
            self._check_expressions(raw, place)
            return
        self._rule(GroupSpec.model_construct(name="", match=None, rules=()), spec, place)

    def _check_expressions(self, raw: Any, place: Place) -> None:
        """Check the expressions of a rule, or of a level, that is invalid otherwise."""
        if not isinstance(raw, dict):
            return
        if raw.get("expr") and isinstance(raw["expr"], str):
            check_expression(raw["expr"], place.at("expr"))
        levels = raw.get("levels")
        for name, level in levels.items() if isinstance(levels, dict) else ():
            self._check_expressions(level, place.at("levels", name))

    def _rule(self, group: Any, spec: Any, place: Place) -> None:
        if isinstance(spec, AlertSpec):
            self._claim("alert", spec.alert, place.at("alert"))
            rule = alert_rule(group, spec, place)
        else:
            self._claim("record", spec.record, place.at("record"))
            self._records[spec.record] = place.at("expr")
            rule = record_rule(group, spec, place)
        if rule is not None:
            self._rules.append(PlacedRule(rule, place))

    def _claim(self, kind: str, name: str, place: Place) -> None:
        first = self._first.setdefault((kind, name), place)
        if first is not place:
            place.report(f"duplicate {kind} name '{name}'; first used at {first}")

    def finish(self) -> LoadedRules:
        cycle = cycle_of(tuple(placed.rule for placed in self._rules if placed.rule.record))
        for name in cycle[:MOST_PROBLEMS]:
            self._records[name].report(f"circular dependency of records: {', '.join(cycle)}")
        if len(self._rules) > MOST_RULES:
            self._rules[-1].place.report(f"more than {MOST_RULES} rules in all files together")
        self._check_inhibits()
        if self._problems:
            raise ProblemsFound(self._problems)
        return LoadedRules(tuple(self._rules), tuple(inhibit_of(spec) for spec, _ in self._inhibits))

    def _check_inhibits(self) -> None:
        """Report inhibits that name no alert; where files have other errors, not all alerts are known."""
        if len(self._inhibits) > MOST_INHIBITS:
            self._inhibits[-1][1].report(f"more than {MOST_INHIBITS} inhibits in all files together")
        alerts = [placed.rule.name for placed in self._rules if not placed.rule.record]
        for spec, place in self._inhibits if not self._problems else ():
            check_names(spec, alerts, place)
