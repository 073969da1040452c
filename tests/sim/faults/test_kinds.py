"""A kind of fault is one class in one place."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fleet_config.validation import Strict
from fleet_sim.faults.clock import ClockFault
from fleet_sim.faults.content import ContentFault
from fleet_sim.faults.fault import Fault
from fleet_sim.faults.kinds import PhaseActions
from fleet_sim.faults.link import BadLink
from fleet_sim.faults.sending import DamagingFault
from fleet_sim.faults.sensor import SensorFault, ValueFault
from fleet_sim.kinds import kinds_of
from fleet_sim.signals.metric import Metric

ROOT = Path(__file__).parents[3]
WITH_ONE_MORE = """
import json, sys
from pathlib import Path
import tests.sim.faults.frozen_clock  # before the grammar, as the modules of the simulator's own kinds
from fleet_sim.scenario.loading import scenario_schema
from tests.sim.faults.seeded_run import START, run

found = run("- {kind: frozen_clock, after: 10s, for: 20s}", Path(sys.argv[1]))
stamps = {ts - START for ts in found["columns"][0]["ts"]}
json.dump({
    "label": [(fault["kind"], fault["where"]) for fault in found["faults"]],
    "stamped within": [at for at in stamps if 10_000 < at < 29_000],
    "defined": "FrozenClock" in scenario_schema()["$defs"],
    "in a phase": "frozen_clock" in scenario_schema()["$defs"]["PhaseActions"]["properties"],
}, sys.stdout)
"""


def test_a_new_kind_is_one_class(tmp_path: Path) -> None:
    """Grammar, schema, `do:` of phases, label and effect follow from it."""
    program = [sys.executable, "-c", WITH_ONE_MORE, str(tmp_path / "run")]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {
        "label": [["frozen_clock", "device"]],
        "stamped within": [],
        "defined": True,
        "in a phase": True,
    }


@pytest.mark.parametrize("word", kinds_of(Fault, "kind"))
def test_no_kind_is_named_outside_of_its_class(word: str) -> None:
    texts = [path.read_text() for path in (ROOT / "fleet_sim" / "faults").glob("*.py")]
    assert sum(text.count(f'"{word}"') for text in texts) == 2, "the field's type and its default"


@pytest.mark.parametrize(("word", "kind"), kinds_of(Fault, "kind").items())
def test_the_page_names_every_kind_at_its_level(word: str, kind: type[Fault]) -> None:
    page = (ROOT / "docs" / "simulate.md").read_text()
    (listed,) = re.findall(rf"^- {kind.where}: ((?:.+\n)(?:  .+\n)*)", page, re.MULTILINE)
    assert f"`{word}`" in listed


def test_a_phase_may_name_what_acts_at_a_moment_or_for_a_time() -> None:
    assert set(PhaseActions.model_fields) == {
        "disconnect", "storm", "offline", "flap", "delay", "bandwidth", "black_hole", "reboot", "crash",
        "battery_death", "late_batch", "clock_jump",
    }  # fmt: skip


def test_the_words_of_a_family_are_sorted_and_unique() -> None:
    for base, key in ((Fault, "kind"), (Metric, "model")):
        kinds: dict[str, type[Strict]] = kinds_of(base, key)
        assert list(kinds) == sorted(kinds)
        assert len(set(kinds.values())) == len(kinds)


HOOKS = (
    (SensorFault, "disturbance"),
    (ValueFault, "reported"),
    (ClockFault, "ahead_ms"),
    (ContentFault, "corrupt"),
    (DamagingFault, "damaged"),
    (BadLink, "conditions"),
)


@pytest.mark.parametrize(("level", "hook"), HOOKS, ids=lambda each: getattr(each, "__name__", each))
def test_every_kind_does_what_its_level_asks_for(level: type[Fault], hook: str) -> None:
    kinds = kinds_of(level, "kind")
    assert kinds
    assert [word for word, kind in kinds.items() if getattr(kind, hook) is getattr(level, hook)] == []
