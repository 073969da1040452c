"""`rules backtest`: what rules would have done on readings of the past."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_gateway.cli.options import ConfigOption, JsonOption, config_if_any, show
from edge_gateway.errors import BadInput

if TYPE_CHECKING:
    from edge_gateway.backtest.readings import PastReadings
    from edge_gateway.configuration.model import GatewayConfig
    from edge_gateway.rules.language.ruleset import RuleSet
    from fleet_recordings.labels import Label

HISTORY = "history"
SINCE_HELP = "1h for an hour ago, 2026-01-31T12:00Z, or milliseconds since 1970."

MappingOption = Annotated[
    str | None, typer.Option("--mapping", "-m", help="Which columns of the CSV file are what.")
]


def backtest(
    source: Annotated[str, typer.Option("--from", help="history, or a recording: a CSV file.")],
    rules: Annotated[
        Path | None,
        typer.Option("--rules", help="A rule file or a directory; the configured one by default."),
    ] = None,
    config: ConfigOption = None,
    *,
    mapping: MappingOption = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="A CSV file of what was wrong: score the rules by it.")
    ] = None,
    within: Annotated[
        str | None, typer.Option("--within", help="How long after a label an alert may begin.")
    ] = None,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="Find the smallest faults that each rule finds.")
    ] = False,
    onsets: Annotated[int, typer.Option("--onsets", min=1, max=1_000, help="Faults of each size.")] = 60,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", help="A kind for --sensitivity, repeated; all by default.")
    ] = None,
    lasts: Annotated[
        str | None, typer.Option("--for", help="How long the faults of --sensitivity last.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Draws the times of --sensitivity.")] = 0,
    since: Annotated[str | None, typer.Option(help="PastReadings from this time on: " + SINCE_HELP)] = None,
    until: Annotated[str | None, typer.Option(help="PastReadings before this time: " + SINCE_HELP)] = None,
    as_json: JsonOption = False,
) -> None:
    """Run rules over readings of the past, through the gateway's own fold, and show what they would have done.

    Nothing is sent, stored or changed, whether a gateway runs or not. With --labels each rule gets its precision,
    recall and delays; with --sensitivity the smallest faults that it finds.
    """
    from edge_gateway.backtest.report import backtest_report
    from edge_gateway.backtest.run import run_rules
    from edge_gateway.cli.backtest_tables import backtest_view
    from edge_gateway.recovery.settings import fold_settings

    settings = _settings(config)
    readings = _readings(source, mapping, settings, since, until)
    ruleset = _rules(rules, settings)
    fold = fold_settings(settings)
    if sensitivity:
        from edge_gateway.backtest.sensitivity import sensitivities
        from edge_gateway.cli.sensitivity_table import sensitivity_view

        how: dict[str, Any] = {
            "onsets": onsets,
            "kinds": fault or (),
            "lasts": _duration("--for", lasts),
            "seed": seed,
        }
        show(sensitivities(readings, ruleset, fold, **how), as_json=as_json, table=sensitivity_view)
        return
    known = None if labels is None else _labels(labels, ruleset, readings)
    result = run_rules(readings, ruleset, fold)
    report = backtest_report(ruleset, readings, result, known, _duration("--within", within))
    show(report, as_json=as_json, table=backtest_view)


def _labels(file: Path, ruleset: RuleSet, readings: PastReadings) -> list[Label]:
    from edge_gateway.backtest.scores import check_labels
    from fleet_recordings.labels import read_labels

    known = read_labels(file)
    check_labels(known, [rule for rule in ruleset.rules if not rule.record], readings, str(file))
    return known


def _settings(config: Path | None) -> GatewayConfig:
    """Return the gateway's configuration, or without one the defaults."""
    from edge_gateway.configuration.model import GatewayConfig

    found = config_if_any(config)
    if found is not None:
        return found
    return GatewayConfig.model_validate({"mqtt": {"url": "mqtt://localhost"}})


def _rules(path: Path | None, settings: GatewayConfig) -> RuleSet:
    from edge_gateway.configuration.rules_folder import no_folder, read_rules
    from edge_gateway.rules.files.load import load_rules

    zones = settings.gateway.time_zones
    found = read_rules(settings.rules, zones) if path is None else load_rules(path).within(zones)
    found = _of_devices(found)
    if not any(not rule.record for rule in found.rules):
        raise BadInput(f"no alert rule to run: {path or no_folder(settings.rules) or settings.rules.path}")
    return found


def _of_devices(rules: RuleSet) -> RuleSet:
    """Return the rules without those over groups, which are said: what a group is at each second is not played."""
    from dataclasses import replace

    from fleet_console.terminal import complain

    groups = [rule.name for rule in rules.rules if rule.by]
    if groups:
        complain(f"left out, because a backtest plays no groups of devices: {', '.join(groups)}")
    return replace(rules, rules=tuple(rule for rule in rules.rules if not rule.by))


def _readings(
    source: str, mapping: str | None, settings: GatewayConfig, since: str | None, until: str | None
) -> PastReadings:
    from edge_gateway.backtest.readings import of_history, read_csv
    from edge_gateway.cli.inspect import instant_of
    from edge_gateway.store.history import History
    from edge_gateway.store.schema import READ_ERRORS

    now = int(time.time() * 1000)
    begin, end = instant_of(since, now, "--since"), instant_of(until, now, "--until")
    if source != HISTORY:
        readings = read_csv(Path(source), mapping)
        return readings if begin is None and end is None else readings.within(begin, end)
    every = [window.every for window in settings.windows]
    try:
        with History.open(settings.spool.path, every) as history:
            return of_history(history, every[0], begin, end)
    except READ_ERRORS as error:
        raise BadInput(f"the history in {settings.spool.path} cannot be read: {error}") from error


def _duration(option: str, text: str | None) -> int | None:
    from fleet_config.durations import parse_duration

    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"{option}: {error}") from None
