"""Where the rules of a configuration are, and what it means that they are not there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edge_gateway.rules.files.inventory import read_inventory
from edge_gateway.rules.files.load import load_rules
from edge_gateway.rules.language.ruleset import RuleSet
from edge_gateway.rules.language.zones import UTC_EVERYWHERE, Zones
from fleet_config.problems import NOWHERE, Problem, ProblemsFound

if TYPE_CHECKING:
    from pathlib import Path

    from edge_gateway.configuration.model import RulesSection


def read_rules(
    section: RulesSection,
    zones: Zones = UTC_EVERYWHERE,
    *,
    inventory: Path | None = None,
    required: bool = False,
) -> RuleSet:
    """Load the configured rules, for sites in these time zones, with the inventory. ProblemsFound as `_read_rules`."""
    rules = _read_rules(section, zones, required=required)
    return rules if inventory is None else replace(rules, inventory=read_inventory(inventory))


def _read_rules(section: RulesSection, zones: Zones, *, required: bool) -> RuleSet:
    """Load the configured rules, for sites in these time zones; none if the path is null.

    The default folder need not exist: without it there are no rules, unless they are `required`, as by a gateway that
    has rules from it. ProblemsFound with the errors of all files, or for a folder that must exist.
    """
    if section.path is None:
        return RuleSet.empty()
    if not _is_missing(section.path):
        return load_rules(section.path, on_change=section.on_change).within(zones)
    if section.is_default and not required:
        return RuleSet.empty()
    fault = "no such file or directory: create it, or set rules.path to where the rules are"
    raise ProblemsFound([Problem(str(section.path.absolute()), *NOWHERE, fault)])


def no_folder(section: RulesSection) -> str:
    """Say why there are no rules, if that is no error: the path is null, or the default folder does not exist."""
    if section.path is None:
        return "no rules: rules.path is null"
    if not section.is_default or not _is_missing(section.path):
        return ""
    return f"no rules: {section.path.absolute()}, the default of rules.path, does not exist"


def _is_missing(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False  # it is there, or cannot be looked at: loading says why
    return False
