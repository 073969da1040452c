"""Where `rules ls`, `rules explain` and `rules diff` get what they show: of a running gateway, or of the files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_gateway.cli.options import ask, config_if_any
from edge_gateway.cli.running import running_config
from edge_gateway.errors import BadInput, NoGateway

if TYPE_CHECKING:
    from pathlib import Path

    from edge_gateway.configuration.model import GatewayConfig
    from edge_gateway.rules.language.ruleset import RuleSet

Row = dict[str, Any]


def rules_in_force(config: Path | None) -> list[Row]:
    """Return the rules in force, or those of the files, which is said."""
    from edge_gateway.rules.inspection.in_force import describe
    from fleet_console.terminal import complain

    settings = config_if_any(config)
    if settings is not None:
        try:
            found: list[Row] = ask(settings, {"do": "rules"}, config)
        except NoGateway as error:
            complain(f"{str(error).partition(';')[0]}: these are the rules of the files")
        else:
            return found
    return [describe(rule) for rule in _of_files(settings).rules]


def _of_files(settings: GatewayConfig | None) -> RuleSet:
    """Return the rules of the configured files, or of ./rules without a configuration."""
    from pathlib import Path

    from edge_gateway.configuration.rules_folder import read_rules
    from edge_gateway.rules.files.load import load_rules

    return load_rules(Path("rules")) if settings is None else read_rules(settings.rules)


def named(name: str, rules: list[Row]) -> list[Row]:
    """Return the rules of a name: an alert, a record, or both."""
    from fleet_config.problems import suggest

    found = [rule for rule in rules if rule["name"] == name]
    if not found:
        raise BadInput(f"no rule '{name}' is in force{suggest(name, [rule['name'] for rule in rules])}")
    return found


def about(device: str | None, group: str | None) -> Row:
    """Return what an explanation is about: a device, or the group of a text such as `site=berlin,room=2`."""
    if (device is None) == (group is None):
        raise BadInput("name what to explain: --device, or --group of a rule with 'by'")
    if group is None:
        return {"device": device}
    pairs = [pair.partition("=") for pair in group.split(",")]
    if not all(key and mark for key, mark, _ in pairs):
        raise BadInput(f"--group {group}: write key=value, as in site=berlin,room=2")
    return {"group": {key.strip(): value for key, _, value in pairs}}


def changes(path: Path | None, config: Path | None) -> list[Row]:
    """Return what the rules in `path`, by default the configured ones, do to each rule in force and to its alerts.

    Without a running gateway the rules and alerts are those of its last checkpoint, which is said. ProblemsFound if the
    rules are invalid.
    """
    from edge_gateway.recovery.checkpoint_view import state_in_checkpoint
    from edge_gateway.service.rule_questions import RuleQuestions
    from fleet_console.terminal import complain

    settings = running_config(config)
    request = {"do": "try_rules", "rules": _new_rules(path, settings).to_brief()}
    try:
        found: list[Row] = ask(settings, request, config)
    except NoGateway as error:
        state = state_in_checkpoint(settings)
        complain(f"{str(error).partition(';')[0]}: compared with its last checkpoint")
        return RuleQuestions(state.pipeline).try_rules(request)
    return found


def _new_rules(path: Path | None, settings: GatewayConfig) -> RuleSet:
    from edge_gateway.configuration.rules_folder import read_rules
    from edge_gateway.rules.files.load import load_rules

    if path is not None:
        return load_rules(path, on_change=settings.rules.on_change)
    return read_rules(settings.rules)
