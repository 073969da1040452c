"""`rules check` and `rules test`, to run before rules are deployed; beside them, `rule_tools`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_gateway.cli.options import ConfigOption, JsonOption, ask, load, show
from edge_gateway.cli.rule_backtest import backtest
from edge_gateway.cli.running import running_config
from edge_gateway.errors import BadInput
from fleet_config.counting import counted

if TYPE_CHECKING:
    from edge_gateway.rules.language.ruleset import RuleSet

app = typer.Typer(
    help="Rules: check and test files, show those in force, explain an alert.", no_args_is_help=True
)

app.command("backtest")(backtest)

MOST_DEVICES = 1_000_000

PathArgument = Annotated[
    Path | None, typer.Argument(help="A rule file or a directory; the configured one by default.")
]


def _path(path: Path | None, config: Path | None) -> Path:
    if path is not None:
        return path
    default = Path("rules")
    if config is None and default.is_dir():
        return default
    configured = load(config).config.rules.path
    if configured is None:
        raise BadInput("this gateway has no rules: rules.path is null; name a rule file or a directory")
    return configured


@app.command()
def check(
    path: PathArgument = None,
    config: ConfigOption = None,
    *,
    cost: Annotated[bool, typer.Option("--cost", help="Measure what each rule costs, too.")] = False,
    devices: Annotated[
        int, typer.Option(help="Devices in the totals of --cost.", min=1, max=MOST_DEVICES)
    ] = 1_000,
    as_json: JsonOption = False,
) -> None:
    """Check rule files. Errors are shown together, with line and column; so are warnings of rules that cannot work.

    Names are compared with those of the rules' tests, and of the fleet where its gateway has run here. With --cost the
    compiled rules run over generated readings: what each takes of time and memory, and all of them for so many devices.
    """
    from edge_gateway.cli.known_names import known_names
    from edge_gateway.rules.files.cannot_work import warnings_of
    from edge_gateway.rules.files.load import load_placed
    from edge_gateway.rules.files.measured_records import refuse_measured_records
    from fleet_config.problems import ProblemsFound
    from fleet_console.terminal import complain, say, say_json

    place = _path(path, config)
    try:
        loaded = load_placed(place)
        known = known_names(place, config)
        refuse_measured_records(loaded.placed, known.measured)
    except ProblemsFound as found:
        if not as_json:
            raise
        say_json({"ok": False, "problems": [problem.as_dict() for problem in found.problems]})
        raise typer.Exit(2) from found
    rules = loaded.rule_set
    warnings = warnings_of(loaded.placed, known)
    costs = _costs(rules, devices) if cost else None
    if as_json:
        listed = [problem.as_dict() for problem in warnings]
        told = {"ok": True, "rules": len(rules.rules), "hash": rules.hash, "problems": [], "warnings": listed}
        say_json(told if costs is None else {**told, "cost": costs})
        return
    complain(
        *(
            f"{warning.file}:{warning.line}:{warning.column}: warning: {warning.message}"
            for warning in warnings
        )
    )
    verdict = counted(len(warnings), "warning") if warnings else "good"
    say(f"{place}: {counted(len(rules.rules), 'rule')}, {verdict}")
    if costs is not None:
        from edge_gateway.cli.rule_costs import costs_view

        say(*costs_view(costs))


def _costs(rules: RuleSet, devices: int) -> dict[str, Any]:
    from edge_gateway.cli.rule_costs import costs_of

    return costs_of(rules, devices)


@app.command("test")
def run_tests(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Test files, rule files or directories; those of the rules by default."),
    ] = None,
    config: ConfigOption = None,
    *,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Fail if the tests do not reach everything.")
    ] = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Write the results to this file, as JUnit XML.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the rules' unit tests: `<name>.test.yaml` beside `<name>.yaml`."""
    from functools import partial

    from edge_gateway.cli.tables import rule_tests_view
    from edge_gateway.rules.testing.runner import run_rule_tests

    if junit is not None and (junit.is_dir() or not junit.absolute().parent.is_dir()):
        raise BadInput(
            f"--junit: {junit} cannot be written: it is a directory, or its directory does not exist"
        )
    places = paths or [_path(None, config)]
    report = run_rule_tests(places)
    example = () if report.results else _first_test(places)
    if junit is not None:
        from edge_gateway.rules.testing.junit import to_junit

        junit.write_text(to_junit(report), encoding="utf-8")
    show(report.as_dict(), as_json=as_json, table=partial(rule_tests_view, example=example))
    if not report.ok or (coverage and report.uncovered):
        raise typer.Exit(1)


@app.command("ls")
def list_rules(
    name: Annotated[str | None, typer.Argument(help="One rule, whole; all of them when left out.")] = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show the rules in force in the running gateway; without one, those of the files.

    Of a running gateway also how many devices each rule runs on, where it fires or waits, and rules that do nothing.
    """
    from edge_gateway.cli.rule_tables import rule_view, rules_table
    from edge_gateway.cli.rule_tools import named, rules_in_force

    rules = rules_in_force(config)
    if name is None:
        show(rules, as_json=as_json, table=rules_table)
        return
    for rule in named(name, rules):
        show(rule, as_json=as_json, table=rule_view)


@app.command("explain")
def explain_rule(
    rule: Annotated[str, typer.Argument(help="The rule: an alert or a record.")],
    device: Annotated[str | None, typer.Option("--device", "-d", help="The device.")] = None,
    group: Annotated[
        str | None,
        typer.Option("--group", "-g", help="The group of a rule with `by`, as in site=berlin,room=2."),
    ] = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Explain what a rule does on a device now: its last evaluation value by value, and why it fires or does not.

    With --group, what it does for a group of devices. The running gateway is asked; its state is not changed by it.
    """
    from edge_gateway.cli.rule_tables import explanation_view
    from edge_gateway.cli.rule_tools import about

    found = ask(running_config(config), {"do": "explain", "rule": rule, **about(device, group)}, config)
    for one in found:
        show(one, as_json=as_json, table=explanation_view)


@app.command("diff")
def show_changes(
    path: PathArgument = None, config: ConfigOption = None, *, as_json: JsonOption = False
) -> None:
    """Show what rule files would do to the rules and inhibits in force and to their alerts if they were loaded now.

    Nothing is changed. Compared are the running gateway's rules or, without one, those of its last checkpoint.
    """
    from edge_gateway.cli.rule_tables import changes_view
    from edge_gateway.cli.rule_tools import changes

    show(changes(path, config), as_json=as_json, table=changes_view)


EXAMPLE = """\
rule_files: [{file}]
tests:
- name: fires when it stays too warm, and clears
  interval: 10s
  devices: {{f1: {{site: berlin, type: freezer}}}}
  input: {{f1.temperature: "-18x6 -13x17 -20x24"}}
  expect:
  - {{at: 230s, alert: FreezerTooWarm, device: f1, state: firing}}
  - {{at: 450s, alert: FreezerTooWarm, device: f1, state: resolved}}
"""
"""A test to start from; `docs/rules.md` describes all of it."""


def _first_test(places: Sequence[Path]) -> list[str]:
    """Return where a first test of the rules in `places` belongs, and one to start from; BadInput without rules."""
    from edge_gateway.rules.files.load import rule_files
    from edge_gateway.rules.testing.definitions import test_file_of

    files = [file for place in places for file in rule_files(place)]
    if not files:
        raise BadInput(f"no rules and no tests in {', '.join(map(str, places))}")
    file = files[0]
    return [
        f"no tests in {', '.join(map(str, places))}",
        f"Those of {file} belong in {test_file_of(file)}, such as this one of an alert FreezerTooWarm:",
        "",
        *EXAMPLE.format(file=file.name).splitlines(),
    ]
