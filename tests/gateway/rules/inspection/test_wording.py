"""What rules say in words."""

from dataclasses import replace

from edge_gateway.rules.inspection.wording import devices_of, limits_of
from edge_gateway.rules.language.ruleset import Level, LevelChange, NoData, Override, Rule

HOT = Rule(
    name="Hot",
    group="g",
    expr="t",
    levels=(Level("warning", limit=-14.0, clear=-15.0, for_ms=120_000), Level("critical", limit=-10.0)),
)


def test_levels_are_told_highest_first() -> None:
    assert limits_of(HOT) == "critical above -10; warning above -14, clear at -15, for 2m"
    low = replace(HOT, levels=(Level("info", above=False, limit=1.8, clear=1.8),))
    assert limits_of(low) == "info below 1.8"


def test_a_condition_has_no_limit() -> None:
    rule = Rule(name="Dry", group="g", expr="flow < 0.2", levels=(Level("critical", for_ms=15_000),))
    assert limits_of(rule) == "critical when it holds, for 15s"
    clears = replace(rule, levels=(replace(rule.levels[0], clear_expr="flow > 0.5"),))
    assert limits_of(clears) == "critical when it holds, clear when flow > 0.5, for 15s"


def test_levels_with_conditions_times_and_counts_are_told() -> None:
    levels = (
        Level("warning", expr="flow < 1", for_readings=3, at=("08:00-18:00", "sat")),
        Level("critical", limit=-14, limits=(("mon-fri 08:00-18:00", -12),), deadband=1),
    )
    rule = Rule(name="Odd", group="g", levels=levels, at=("mon",))
    assert limits_of(rule) == (
        "critical above -14, -12 mon-fri 08:00-18:00, deadband 1;"
        " warning when flow < 1, for 3 readings, only 08:00-18:00 or sat; only mon"
    )


def test_silence_is_told_with_what_it_does() -> None:
    def silent(state: str) -> str:
        no_data = NoData(600_000, "t", state, "warning")  # type: ignore[arg-type]
        return limits_of(Rule(name="S", group="g", no_data=no_data))

    assert silent("alerting") == "no t for 10m raises warning"
    assert silent("no_data") == "no t for 10m is reported"
    assert silent("ok") == "no t for 10m ends the alert"
    assert silent("keep_last") == "no t for 10m changes nothing"


def test_an_override_tells_what_it_makes_of_the_levels() -> None:
    warmer = Override({"site": ["lyon"]}, (LevelChange("warning", limit=-16.0, clear=-17.0),))
    assert limits_of(HOT, warmer) == "critical above -10; warning above -16, clear at -17, for 2m"
    longer = Override({"site": ["lyon"]}, (), keep_ms=60_000)
    assert limits_of(HOT, longer) == "keep firing for 1m"


def test_a_record_has_a_unit_or_nothing() -> None:
    record = Rule(name="dew", group="g", record=True, expr="t")
    assert limits_of(record) == ""
    assert limits_of(replace(record, unit="°C")) == "in °C"


def test_devices_are_told_by_all_that_must_fit() -> None:
    assert devices_of([]) == "every device"
    two = [{"site": ["berlin", "lyon", "oslo"], "type": ["freezer"]}, {"line": ["L*"]}]
    assert devices_of(two) == "site berlin, lyon or oslo, type freezer, line L*"
