"""A dry fold: the gateway's own, without its limits on age and number."""

from pathlib import Path

from edge_gateway.backtest.dry_fold import DryFold, dry_settings
from fleet_wire.telemetry import encode_telemetry
from tests.gateway.backtest.weighed import START, rules_of, settings


def test_settings_keep_what_rules_depend_on() -> None:
    given = settings(metrics={"t": {"range": [0, 50]}}, rules={"lookback": "7m"})
    dry = dry_settings(given)
    assert (dry.metrics, dry.lookback, dry.max_future_skew) == (given.metrics, 420_000, given.max_future_skew)
    assert (dry.earliest, dry.mode, dry.sites) == (0, "dry_run", ("+",))


def test_messages_and_time_lead_to_transitions_of_any_age(tmp_path: Path) -> None:
    fold = DryFold(
        dry_settings(settings()), rules_of(tmp_path, "{alert: A, expr: t, above: 1, for: 10s}"), 1_000
    )
    fold.deliver(["fleet/v1/s/d/telemetry"], [encode_telemetry(1, 0, 2_000, {"t": 2})], 2_000)
    fold.pass_time(20_000)
    assert [(each.event, each.at) for each in fold.transitions] == [("pending", 2_000), ("firing", 12_000)]
    assert fold.moment(START).listening == START - 1_000
