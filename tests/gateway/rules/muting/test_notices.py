"""What was told last of each alert, and what is withheld."""

from edge_gateway.rules.alerts.state_machine import StateChange
from edge_gateway.rules.muting.notices import LastTold, Notices

KEY = ("Hot", "d")
FIRES = StateChange("firing", "reading", "firing", 1, -1, 5)
ENDS = StateChange("resolved", "reading", "resolved", 1, 1, 6)


def test_what_is_told_is_withheld_no_more() -> None:
    notices = Notices()
    notices.withhold(KEY, "a", FIRES, ("silence 1",))
    assert notices.withheld[KEY].by == ("silence 1",)
    notices.tell(KEY, "a", FIRES)
    assert (notices.heard, notices.withheld) == ({KEY: LastTold("a", 1)}, {})
    notices.tell(KEY, "a", ENDS)
    assert notices.heard == {}


def test_an_alert_that_ended_untold_is_forgotten() -> None:
    notices = Notices()
    notices.tell(KEY, "a", FIRES)
    notices.withhold(KEY, "b", FIRES, ("silence 1",))
    notices.forget(KEY)
    assert (notices.heard, notices.withheld) == ({}, {})


def test_a_snapshot_restores_all_of_it() -> None:
    notices, restored = Notices(), Notices()
    notices.tell(KEY, "a", FIRES)
    notices.withhold(("Cold", "d"), "b", ENDS, ("silence 1", "flapping"))
    restored.restore(notices.snapshot())
    assert (restored.heard, restored.withheld) == (notices.heard, notices.withheld)
