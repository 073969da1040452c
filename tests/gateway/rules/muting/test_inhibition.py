"""Inhibits: which alerts mute which, from the first to the last change of an input, and for how long after it."""

from edge_gateway.rules.language.inhibits import Inhibit, Selector
from edge_gateway.rules.muting.inhibition import Inhibition
from edge_gateway.rules.muting.subject import AlertSubject
from tests.gateway.rules.muting.muted import inhibit


def subject(rule: str, name: str = "d", site: str = "berlin", **labels: str) -> AlertSubject:
    return AlertSubject(rule, name, "warning", {"site": site}, labels)


def muting(inhibition: Inhibition, of: AlertSubject) -> list[str]:
    return [mute.by for mute in inhibition.muting(of)]


DOWN, HOT = subject("Down", "berlin"), subject("Hot")


def test_a_source_mutes_what_shares_what_must_be_equal() -> None:
    inhibition = Inhibition((inhibit("Down", "Hot", "site"),))
    inhibition.foresee(DOWN)
    assert muting(inhibition, HOT) == ["inhibit Down/berlin"]
    assert muting(inhibition, subject("Hot", site="lyon")) == []
    assert muting(inhibition, subject("Cold")) == []


def test_a_source_mutes_until_the_end_of_the_input_with_which_it_ends() -> None:
    inhibition = Inhibition((inhibit("Down", "Hot", "site"),))
    inhibition.foresee(DOWN)
    inhibition.change(DOWN, fires=False)
    assert muting(inhibition, HOT)
    assert inhibition.settle(5)
    assert muting(inhibition, HOT) == []
    assert not inhibition.settle(6)


def test_targets_wait_after_it_and_one_that_fires_again_ends_the_wait() -> None:
    inhibition = Inhibition((inhibit("Down", "Hot", wait=1),))
    inhibition.foresee(DOWN)
    inhibition.change(DOWN, fires=False)
    inhibition.settle(5)
    assert not inhibition.end_waits(1_004)
    inhibition.foresee(DOWN)
    assert not inhibition.end_waits(1_005)
    inhibition.change(DOWN, fires=False)
    inhibition.settle(2_000)
    assert inhibition.end_waits(3_000)
    assert muting(inhibition, HOT) == []


def test_a_level_or_label_that_does_not_fit_any_more_ends_a_source() -> None:
    inhibition = Inhibition(
        (Inhibit(Selector({"level": ["warning"]}, {"team": ["net"]}), Selector({"alert": ["Hot"]})),)
    )
    assert inhibition.by_labels
    assert muting(inhibition, HOT) == []
    down = subject("Down", team="net")
    inhibition.foresee(down)
    assert muting(inhibition, HOT) == ["inhibit Down/d"]
    inhibition.change(down._replace(level="critical"), fires=True)
    assert inhibition.settle(1)
    assert muting(inhibition, HOT) == []


def test_a_reload_keeps_sources_that_fire_and_the_waits_of_inhibits_that_stay() -> None:
    stays, other = inhibit("Down", "Hot", "site", wait=9), inhibit("Late", "Hot")
    inhibition = Inhibition((stays, inhibit("Gone", "Hot", wait=9)))
    for each in (DOWN, subject("Gone")):
        inhibition.foresee(each)
        inhibition.change(each, fires=False)
    inhibition.settle(1)
    replaced = inhibition.replaced((other, stays), [subject("Late")])
    assert muting(replaced, HOT) == ["inhibit Late/d", "inhibit Down/berlin"]
    restored = Inhibition((other, stays))
    restored.restore(replaced.snapshot())
    assert restored.snapshot() == replaced.snapshot()
    assert muting(restored, HOT) == muting(replaced, HOT)
