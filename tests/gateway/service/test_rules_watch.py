"""A stable and valid change of the rule files is loaded, and no kind of file ends the watch."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_gateway.configuration.model import RulesSection
from edge_gateway.rules.language.ruleset import RuleSet
from edge_gateway.rules.language.zones import UTC_EVERYWHERE
from edge_gateway.service.rules_watch import RulesWatch, fingerprint
from edge_gateway.status.counters import Counters
from edge_gateway.status.problems import Problems
from fleet_config.problems import ProblemsFound
from tests.hostile_files import NO_FILES, RULE


@dataclass
class Watched:
    """A watch over a directory, and the names of the rules it took, set by set."""

    path: Path
    taken: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.problems = Problems(lambda: 0)
        self.counters = Counters()
        self.watch = RulesWatch(
            RulesSection(path=self.path),
            UTC_EVERYWHERE,
            lambda: bool(self.taken),
            self._take,
            self.counters,
            self.problems,
        )

    def _take(self, rules: RuleSet) -> None:
        self.taken.append([rule.name for rule in rules.rules])

    async def settle(self) -> None:
        """Poll twice: a change is loaded once it is stable."""
        await self.watch.poll()
        await self.watch.poll()

    @property
    def told(self) -> str:
        return next((problem.text for problem in self.problems if problem.code == "rules"), "")


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    (tmp_path / "a.yaml").write_text(RULE % "")
    return Watched(tmp_path)


async def test_a_change_is_loaded_once_it_is_stable(watched: Watched) -> None:
    await watched.watch.poll()
    assert watched.taken == []
    await watched.watch.poll()
    await watched.watch.poll()
    assert watched.taken == [["A"]]
    (watched.path / "a.yaml").write_text((RULE % "").replace("alert: A", "alert: Bb"))
    await watched.settle()
    assert watched.taken == [["A"], ["Bb"]]


async def test_a_change_of_the_inventory_is_a_reload_and_a_wrong_one_keeps_the_old(watched: Watched) -> None:
    file = watched.path / "devices.csv"
    watched.watch.inventory, expected = file, list[int]()
    watched.watch.take = lambda rules: expected.append(len(rules.inventory))
    file.write_text("id,site\nf1,berlin\n")
    await watched.watch.begin()
    file.write_text("id,site\nf1,berlin\nf2,berlin\n")
    await watched.settle()
    assert expected == [1, 2]
    watched.taken.append([])
    file.write_text("id,site\nf1,ber lin\n")
    await watched.settle()
    assert "devices.csv:2:4: 'ber lin' is no site" in watched.told
    file.write_text("id,site\n")
    await watched.settle()
    assert (expected, watched.told) == ([1, 2, 0], "")


async def test_wrong_rules_at_a_start_are_no_problem_of_rules_in_force(watched: Watched) -> None:
    (watched.path / "a.yaml").write_text("version: 2\n")
    with pytest.raises(ProblemsFound):
        await watched.watch.begin()
    assert (watched.told, watched.counters.rule_reloads_refused) == ("", 0)


async def test_the_other_ending_keeps_the_rules(watched: Watched) -> None:
    await watched.settle()
    (watched.path / "a.yaml").rename(watched.path / "a.yml")
    await watched.settle()
    assert watched.taken == [["A"], ["A"]]


async def test_rules_are_kept_while_no_file_is_a_rule_file(watched: Watched) -> None:
    await watched.settle()
    (watched.path / "a.yaml").rename(watched.path / "a.yaml.off")
    await watched.settle()
    assert "no rule file among its 1 file (a.yaml.off)" in watched.told
    (watched.path / "a.yaml.off").unlink()
    await watched.settle()
    assert "no rule file in this directory" in watched.told
    assert watched.taken == [["A"]]
    (watched.path / "a.yaml").write_text("version: 1\ngroups: []\n")
    await watched.settle()
    assert (watched.told, watched.taken) == ("", [["A"], []])


async def test_a_first_start_needs_a_rule_file(tmp_path: Path) -> None:
    with pytest.raises(ProblemsFound, match="no rule file in this directory"):
        await Watched(tmp_path).watch.begin()


async def test_without_a_path_there_are_no_rules_even_after_some(watched: Watched) -> None:
    await watched.settle()
    watched.watch.section = RulesSection(path=None)
    await watched.watch.begin()
    await watched.settle()
    assert (watched.told, watched.taken) == ("", [["A"], []])


@pytest.mark.parametrize("begin", [False, True])
async def test_the_hash_on_disk_differs_while_the_files_are_refused(watched: Watched, begin: bool) -> None:
    await watched.settle()
    in_force = watched.watch.on_disk
    (watched.path / "a.yaml").write_text("version: 2\n")
    await (watched.watch.begin() if begin else watched.settle())
    broken = watched.watch.on_disk
    (watched.path / "a.yaml").write_text("version: 3\n")
    await watched.settle()
    assert len({in_force, broken, watched.watch.on_disk}) == 3
    (watched.path / "a.yaml").unlink()
    await watched.settle()
    assert watched.watch.on_disk == ""
    (watched.path / "a.yaml").write_text(RULE % "")
    await watched.settle()
    assert watched.watch.on_disk == in_force


@pytest.mark.parametrize("kind", NO_FILES)
@pytest.mark.problem("raises", "rules")
@pytest.mark.problem("clears", "rules")
async def test_an_entry_that_is_no_file_is_a_problem_until_it_is_removed(watched: Watched, kind: str) -> None:
    make, fault = NO_FILES[kind]
    await watched.settle()
    make(watched.path / "x.yaml")
    await watched.settle()
    assert watched.told == f"the rules in force are kept: {watched.path / 'x.yaml'}: {fault}"
    assert watched.counters.rule_reloads_refused == 1
    bad = watched.path / "x.yaml"
    bad.rmdir() if kind == "directory" else bad.unlink()
    await watched.settle()
    assert watched.told == ""
    assert watched.taken == [["A"], ["A"]]


async def test_other_changes_are_seen_beside_a_dangling_link(watched: Watched) -> None:
    (watched.path / "x.yaml").symlink_to("nothing")
    before = fingerprint(watched.path)
    (watched.path / "a.yaml").write_text("version: 1\n")
    assert fingerprint(watched.path) != before != ()


async def test_a_removed_directory_keeps_the_rules(watched: Watched) -> None:
    await watched.settle()
    (watched.path / "a.yaml").unlink()
    watched.path.rmdir()
    await watched.settle()
    assert "no such file" in watched.told
    assert watched.taken == [["A"]]


async def test_without_a_free_descriptor_no_rule_problem_is_raised(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process lacks a resource: the supervisor reports that and polls again."""
    await watched.settle()

    def exhausted(path: Path) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))

    with monkeypatch.context() as patched:
        patched.setattr("edge_gateway.rules.files.load.os.scandir", exhausted)
        with pytest.raises(OSError, match="Too many open files"):
            await watched.settle()
    assert watched.told == ""
    await watched.settle()
    assert watched.taken == [["A"]]
