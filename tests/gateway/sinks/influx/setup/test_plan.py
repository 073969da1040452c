"""What an apply does and what it refuses, decided without a server."""

from collections.abc import Mapping
from typing import Any

import pytest

from edge_gateway.errors import BadInput
from edge_gateway.sinks.influx.setup.facts import Facts, digest
from edge_gateway.sinks.influx.setup.plan import Allowed, Change, Plan, Present, Survey, part_key, plan_of

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
DAY = 86_400
BUCKET, VARIABLE, BOARD = ("Bucket", "telemetry"), ("Variable", "fleet-site"), ("Dashboard", "fleet-overview")


def bucket(keeps: int, name: str = "telemetry") -> Facts:
    return Facts(name, {"": {"name": name, "description": ""}}, keeps)


def board(**cells: str) -> Facts:
    parts: dict[str, Mapping[str, Any]] = {"": {"name": "Fleet overview"}}
    return Facts(
        "Fleet overview", parts | {f"cell '{name}'": {"query": query} for name, query in cells.items()}
    )


def plan(
    wanted: dict[tuple[str, str], Facts],
    there: dict[tuple[str, str], Present],
    *,
    applied: dict[tuple[str, str], Facts] | None = None,
    adopt: tuple[str, ...] = (),
    force: bool = False,
) -> Plan:
    noted = {
        part_key(key, part): digest(properties)
        for key, facts in (applied or {}).items()
        for part, properties in facts.parts.items()
    }
    return plan_of(Survey("stack", wanted, there, noted), Allowed(adopt, force=force), NOW)


def ours(facts: Facts) -> Present:
    return Present(facts, ours=True)


@pytest.mark.parametrize(
    ("now", "then", "refused"),
    [
        (90 * DAY, 30 * DAY, "keeps 90d now, would keep 30d: points older than 2026-12-16 08:00 UTC"),
        (0, 30 * DAY, "keeps everything now, would keep 30d"),
        (30 * DAY, 90 * DAY, ""),
        (30 * DAY, 0, ""),
        (0, 0, ""),
        (30 * DAY, 30 * DAY, ""),
    ],
)
def test_a_shorter_retention_is_said_in_numbers_and_needs_force(now: int, then: int, refused: str) -> None:
    wanted, there = {BUCKET: bucket(then)}, {BUCKET: ours(bucket(now))}
    found = plan(wanted, there, applied={BUCKET: bucket(then)})
    assert bool(found.refusals) == bool(refused)
    assert refused in "".join(found.refusals)
    assert found.in_step == (now == then)
    forced = plan(wanted, there, applied={BUCKET: bucket(then)}, force=True)
    assert forced.refusals == ()
    assert forced.changes == found.changes


def test_what_is_not_ours_is_refused_by_name_even_with_force_unless_it_is_adopted() -> None:
    wanted = {VARIABLE: Facts("fleet_site", {"": {"values": ["a"]}}), BUCKET: bucket(30 * DAY)}
    there = {key: Present(facts, ours=False) for key, facts in wanted.items()}
    there[VARIABLE] = Present(Facts("fleet_site", {"": {"values": ["b"]}}), ours=False)
    refused = plan(wanted, there, force=True).refusals
    assert len(refused) == 2
    assert "--adopt bucket/telemetry" in refused[0]
    assert "--adopt variable/fleet_site" in refused[1]
    assert "values" in refused[1]
    found = plan(wanted, there, adopt=("telemetry", "variable/fleet_site"))
    assert found.refusals == ()
    assert [one.what for one in found.changes] == ["adopt", "adopt"]


def test_adopting_a_bucket_does_not_shorten_it_without_force() -> None:
    there = {BUCKET: Present(bucket(90 * DAY), ours=False)}
    (refused,) = plan({BUCKET: bucket(30 * DAY)}, there, adopt=("telemetry",)).refusals
    assert "would keep 30d" in refused
    assert plan({BUCKET: bucket(30 * DAY)}, there, adopt=("telemetry",), force=True).refusals == ()


def test_a_name_that_several_kinds_have_must_say_its_kind_and_an_unknown_one_is_said() -> None:
    wanted = {BUCKET: bucket(DAY), ("Label", "l"): Facts("telemetry", {"": {}})}
    there = {key: Present(facts, ours=False) for key, facts in wanted.items()}
    with pytest.raises(BadInput, match="--adopt bucket/telemetry or --adopt label/telemetry"):
        plan(wanted, there, adopt=("telemetry",))
    assert len(plan(wanted, there, adopt=("BUCKET/telemetry",)).refusals) == 1
    with pytest.raises(BadInput, match="no resource of that name"):
        plan(wanted, there, adopt=("telemetri",))


def test_adopting_what_is_ours_already_or_not_there_yet_changes_nothing() -> None:
    wanted = {BUCKET: bucket(DAY), ("Label", "l"): Facts("telemetry", {"": {}})}
    found = plan(wanted, {BUCKET: ours(bucket(DAY))}, adopt=("telemetry",))
    assert found.changes == (Change("keep", "Bucket", "telemetry"), Change("create", "Label", "telemetry"))


def test_a_template_that_changed_brings_untouched_cells_up_to_date_unasked() -> None:
    old, new = board(a="1", b="1", gone="1"), board(a="1", b="2", more="1")
    found = plan({BOARD: new}, {BOARD: ours(old)}, applied={BOARD: old})
    assert found.refusals == ()
    (change,) = found.changes
    assert (change.what, change.kind, change.name) == ("update", "Dashboard", "Fleet overview")
    assert change.differs == (
        "cell 'b': query",
        "cell 'gone' is not in the templates",
        "cell 'more' is missing",
    )


def test_cells_that_a_person_changed_or_added_are_named_and_need_force() -> None:
    applied = board(a="1", b="1", c="1")
    there = board(a="mine", b="1", extra="1")
    found = plan({BOARD: applied}, {BOARD: ours(there)}, applied={BOARD: applied})
    (refused,) = found.refusals
    assert "cell 'a' was changed; cell 'extra' was added" in refused
    assert "clone" in refused
    assert "cell 'c'" not in refused, "what a person removed is put back: nothing is lost by it"
    assert "cell 'c' is missing" in found.changes[0].differs
    assert plan({BOARD: applied}, {BOARD: ours(there)}, applied={BOARD: applied}, force=True).refusals == ()


def test_a_change_by_hand_that_is_what_the_templates_want_is_no_change() -> None:
    found = plan({BOARD: board(a="2")}, {BOARD: ours(board(a="2"))}, applied={BOARD: board(a="1")})
    assert found.in_step


def test_where_nothing_tells_what_was_applied_nothing_is_overwritten_unasked() -> None:
    (refused,) = plan({BOARD: board(a="2")}, {BOARD: ours(board(a="1"))}).refusals
    assert "cell 'a' was changed" in refused


def test_what_no_template_names_any_more_goes_unless_a_person_changed_or_added_it() -> None:
    site = Facts("site", {"": {"values": ["a"]}})
    there = {("Variable", "site"): ours(site)}
    found = plan({}, there, applied={("Variable", "site"): site})
    assert found.changes == (Change("remove", "Variable", "site"),)
    assert found.refusals == ()
    changed = {("Variable", "site"): Facts("site", {"": {"values": ["b"]}})}
    assert "was changed" in "".join(plan({}, there, applied=changed).refusals)
    assert "was added" in "".join(plan({}, there).refusals)
    assert plan({}, there, force=True).refusals == ()


def test_text_of_a_server_cannot_steer_a_terminal() -> None:
    there = {BOARD: ours(board(**{"\x1b[2J": "1"}))}
    assert "\x1b" not in "".join(plan({BOARD: board()}, there).refusals)
