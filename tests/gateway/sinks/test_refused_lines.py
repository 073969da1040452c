"""What was refused is told as long as it matters, in a text that does not change with every line."""

from edge_gateway.sinks.refused_lines import LASTS, MOST_KINDS, RefusedLines

CONFLICT = '422: partial write: field type conflict: input field "mean" on measurement "sensor"'
LINE = b"sensor,device=d1 mean=1 1\n"


def test_a_refusal_names_bucket_measurement_reason_and_what_to_do() -> None:
    refusals = RefusedLines()
    assert refusals.text(0.0) == ""
    refusals.note("telemetry", [LINE], CONFLICT, 0.0)
    refusals.note("telemetry_1h", [b"alert x=1 1\n"], "422: points beyond retention policy", 0.0)
    first, second, last = refusals.text(1.0).split("\n")
    assert "'sensor' for bucket 'telemetry'" in first
    assert CONFLICT in first
    assert "its own bucket" in first
    assert "'alert' for bucket 'telemetry_1h'" in second
    assert "influx status" in second
    assert "edge-gateway query quarantine" in last


def test_of_points_too_old_for_their_bucket_the_text_claims_no_more_than_is_known() -> None:
    refusals, reason = RefusedLines(), "422: dropped 3 points outside retention policy of duration 3h0m0s"
    refusals.note("telemetry", [LINE], reason, 0.0, unsure=True)
    unsure = refusals.text(1.0)
    assert "clock was not sure" in unsure
    assert "edge-gateway clock confirm" in unsure
    assert "gateway.yaml" not in unsure, "nobody knows whether the bucket keeps what gateway.yaml says"
    refusals.note("telemetry", [LINE], reason, 2.0)
    sure = refusals.text(3.0)
    assert "clock confirm" not in sure
    assert "shorter than gateway.yaml says" in sure
    assert "waited here for longer" in sure, "a point may become too old in the outbox"


def test_causes_that_need_other_deeds_are_told_beside_each_other() -> None:
    refusals, retention = RefusedLines(), "422: dropped 3 points outside retention policy of duration 1h0m0s"
    refusals.note("telemetry", [LINE], retention, 0.0, unsure=True)
    refusals.note("telemetry", [LINE], CONFLICT, 1.0)
    old, conflict, _ = refusals.text(2.0).split("\n")
    assert "clock confirm" in old, "what another cause refused says nothing of the clock"
    assert "its own bucket" in conflict


def test_a_refusal_is_told_until_an_hour_after_the_last_of_its_kind() -> None:
    refusals = RefusedLines()
    refusals.note("a", [LINE], CONFLICT, 0.0)
    refusals.note("a", [LINE], "400: a type conflict in other words", LASTS - 1)
    told = refusals.text(2 * LASTS - 2)
    assert told == refusals.text(LASTS)
    assert CONFLICT in told, "a text that changed with each line would be logged with each line"
    assert refusals.text(2 * LASTS) == ""


def test_whatever_is_refused_the_text_stays_short_and_safe() -> None:
    refusals = RefusedLines()
    for number in range(2 * MOST_KINDS):
        refusals.note(f"b{number}", [b"\x1b[2J" * 1000 + b" x=1\n"], "\x1b[2J" * 1000, 0.0)
    told = refusals.text(0.0)
    assert f"and {MOST_KINDS - 5} more" in told
    assert "\x1b" not in told
    assert len(told) < 5_000
