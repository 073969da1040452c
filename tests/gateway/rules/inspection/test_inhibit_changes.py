"""What an edit of the inhibits does to the alerts that fire."""

from typing import Any

from edge_gateway.rules.inspection.inhibit_changes import inhibit_changes, sentence
from edge_gateway.rules.language.inhibits import Inhibit, Selector
from edge_gateway.rules.muting.subject import AlertSubject

DOWN = Inhibit(Selector({"alert": ["SiteDown"]}), Selector({"level": ["warning", "info"]}), equal=("site",))


def alert(rule: str, name: str, level: Any = "warning", site: str = "berlin") -> AlertSubject:
    return AlertSubject(rule, name, level, {"site": site}, {})


FIRING = [alert("SiteDown", "g", "critical"), alert("Hot", "d1"), alert("Hot", "d2", "critical"),
          alert("Hot", "d3", site="lyon")]  # fmt: skip


def test_an_inhibit_is_told_in_words() -> None:
    assert (
        sentence(DOWN) == "alerts of level warning or info while alerts of alert SiteDown fire, of equal site"
    )
    whole = Inhibit(Selector(labels={"team": ["cold"]}), Selector(), wait_ms=30_000, commands=True)
    assert sentence(whole) == "all alerts while alerts of label team cold fire, and 30s longer; commands too"


def test_one_that_is_added_mutes_what_fires_now() -> None:
    (row,) = inhibit_changes((), (DOWN,), FIRING, most=10)
    assert (row["kind"], row["change"], row["touched"]) == ("inhibit", "added", 1)
    assert row["effect"] == f"mutes {sentence(DOWN)}"
    (muted,) = row["alerts"]
    assert (muted["device"], muted["becomes"], muted["cause"]) == ("d1", "muted", "inhibit SiteDown/g; Hot")


def test_one_that_is_removed_lets_its_alerts_be_told() -> None:
    (row,) = inhibit_changes((DOWN,), (), FIRING, most=0)
    assert (row["change"], row["touched"], row["alerts"]) == ("removed", 1, [])
    assert row["effect"] == f"mutes no more {sentence(DOWN)}"


def test_one_that_stays_is_no_change_and_one_that_is_edited_is_two() -> None:
    assert inhibit_changes((DOWN,), (DOWN,), FIRING, most=10) == []
    other = Inhibit(DOWN.source, DOWN.target)
    rows = inhibit_changes((DOWN,), (other,), FIRING, most=10)
    assert [(row["change"], row["touched"]) for row in rows] == [("added", 2), ("removed", 1)]
