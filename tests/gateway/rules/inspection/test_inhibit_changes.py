"""What an edit of the inhibits does to the alerts that fire."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edge_gateway.rules.inspection.inhibit_changes import compare_inhibits, inhibit_row, inhibit_text
from edge_gateway.rules.language.inhibits import Inhibit, Selector
from edge_gateway.rules.language.ruleset import Rule, RuleSet
from tests.gateway.rules.muting.muted import MutedStage, hot, inhibit

DOWN, HOT = hot("Down", "u"), hot()
BY_SITE = inhibit("Down", "Hot", "site")


def stage(*inhibits: Inhibit) -> MutedStage:
    """Two devices of one site: on one the source of `BY_SITE` fires, on the other its target."""
    found = MutedStage(DOWN, HOT, inhibits=inhibits)
    found.read(1, "a", u=15.0)
    found.read(2, "b", t=15.0)
    return found


def edited(
    before: MutedStage, *inhibits: Inhibit, rules: tuple[Rule, ...] = (DOWN, HOT)
) -> list[dict[str, Any]]:
    after = before.evaluator.copied(before.fleet.registry)
    after.reload(RuleSet(rules, inhibits=inhibits))
    return [inhibit_row(change, 5) for change in compare_inhibits(before.evaluator, after)]


def becomes(rows: list[dict[str, Any]]) -> list[tuple[str, list[tuple[str, str]]]]:
    return [(row["change"], [(one["device"], one["becomes"]) for one in row["alerts"]]) for row in rows]


def test_an_inhibit_that_is_added_names_the_alerts_that_it_mutes_now() -> None:
    assert becomes(edited(stage(), BY_SITE)) == [("added", [("Hot/b", "muted")])]


def test_an_inhibit_that_is_removed_names_the_alerts_that_it_muted() -> None:
    (row,) = edited(stage(BY_SITE))
    assert becomes([row]) == [("removed", [("Hot/b", "not muted")])]
    assert (row["touched"], row["kind"]) == (1, "inhibit")


def test_an_alert_that_something_else_mutes_stays_muted() -> None:
    before = stage(BY_SITE, inhibit("Down", "Hot"))
    assert becomes(edited(before, BY_SITE)) == [("removed", [("Hot/b", "muted")])]


def test_an_inhibit_whose_content_changes_is_removed_and_added() -> None:
    rows = edited(stage(BY_SITE), replace(BY_SITE, wait_ms=60_000))
    assert becomes(rows) == [("added", [("Hot/b", "muted")]), ("removed", [("Hot/b", "muted")])]


def test_the_wait_after_the_end_of_a_source_mutes() -> None:
    before = stage(inhibit("Down", "Hot", "site", wait=60))
    before.read(3, "a", u=5.0)
    before.evaluator.muting.settle()
    assert becomes(edited(before)) == [("removed", [("Hot/b", "not muted")])]


def test_alerts_that_the_edit_ends_are_not_among_those_that_are_muted_no_more() -> None:
    assert becomes(edited(stage(BY_SITE), rules=(DOWN,))) == [("removed", [])]


def test_what_stays_is_no_change_in_whatever_order_and_is_counted() -> None:
    other = inhibit("Hot", "Down", "type")
    assert edited(stage(BY_SITE, other), other, BY_SITE) == []
    assert becomes(edited(stage(BY_SITE, BY_SITE), BY_SITE)) == [("removed", [("Hot/b", "muted")])]


def test_of_many_alerts_some_are_listed_and_all_are_counted() -> None:
    before = stage()
    for number in range(7):
        before.read(3, f"d{number}", t=15.0)
    (row,) = edited(before, BY_SITE)
    assert (row["touched"], len(row["alerts"])) == (8, 5)


def test_an_inhibit_is_said_in_words() -> None:
    assert inhibit_text(BY_SITE) == "inhibit: alert Down mutes alert Hot of the same site"
    long = Inhibit(
        Selector(), Selector({"level": ["warning", "info"]}, {"team": ["cold"]}), (), 60_000, commands=True
    )
    assert inhibit_text(long) == (
        "inhibit: every alert mutes level warning or info, label team cold, waits 1m, commands too"
    )
