"""Rule files are edited while a fleet sends; nothing may be lost, repeated or held up by it.

    fleet ─▶ broker ─▶ gateway ◀── rule files ◀── editors: in place, in pieces, rename, symlink, git, missing, broken

Broken: the rule files, `count` times: written in place, whole or in pieces; written beside and renamed; symlinks that
are swapped; a git checkout; a file that is missing for a moment; and every few times a file with an error before the
next good one. Edits change comments, limits, waits and group names, and let rules come and go, some of which fire.

Compared: after each edit the rules in force with those of the files, or while they are broken with the last good ones;
how many rule sets came into force; at the end the ledger with the history, alerts and commands.

Failures: a reading lost or double; an alert lost, repeated or begun twice; a broken file in force, or not reported;
another number of reloads than of other rule sets; a reload that takes more than 50 ms of the loop's own time.
"""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Final

from edge_gateway.rules.files.load import load_rules
from tests.proofs.edits.editors import (
    BROKEN,
    EDITORS,
    EXTRA,
    FIELD,
    Editor,
    Repository,
    extra_text,
    field_text,
    write_in_place,
)
from tests.proofs.ground.field import Fleet, scenario_text, wait_settled
from tests.proofs.ground.judging import judge_all
from tests.proofs.proof import Findings, Proof, Setting
from tests.servers.gateway import Gateway

NAME: Final = "gw-edits"
DEVICES: Final = 30
EVERY: Final = "300ms"
GIT_EVERY: Final = 7
BROKEN_SHARE: Final = 0.25
LONGEST_MS: Final = 50.0
REPORT_EVERY: Final = 50
_TAKEN = re.compile(r"rules read: .*; taken in ([0-9.]+) ms")


def run(setting: Setting) -> None:
    """Edit the rules of one gateway `count` times while its fleet sends."""
    broker = setting.broker()
    gateway = setting.gateway(broker, NAME)
    desk = Desk(gateway, setting.rng, setting.findings)
    desk.begin()
    setting.findings.recoveries.append(gateway.start())
    desk.note_in_force()
    text = scenario_text(f"{NAME}-site", devices=DEVICES, every=EVERY, seed=setting.rng.randrange(1 << 31))
    fleet = Fleet(broker, setting.place("run"), text)
    with fleet:
        for number in range(setting.count):
            desk.edit(number)
            setting.findings.runs += 1
            if (number + 1) % REPORT_EVERY == 0:
                setting.say(f"{number + 1} edits, {desk.reloads} other rule sets")
    report = wait_settled(gateway, fleet.ledger)
    judge_all(setting.findings, gateway, fleet.ledger, report)
    judge_reloads(setting.findings, report["counters"].get("rule_reloads", 0), desk.reloads)
    judge_pauses(setting.findings, gateway.log.read_text(errors="replace"))


class Desk:
    """Where the rules of a gateway are edited. `reloads`: how many other rule sets the files have held."""

    def __init__(self, gateway: Gateway, chance: random.Random, findings: Findings) -> None:
        self.gateway = gateway
        self.chance = chance
        self.findings = findings
        self.reloads = 0
        self.hash = ""
        self._refused = 0
        self._repository: Repository | None = None
        self._commits: list[str] = []

    def begin(self) -> None:
        """Write the first files, and a repository of a few versions."""
        for file in self.gateway.rules.iterdir():
            file.unlink()
        self._repository = Repository(self.gateway.rules)
        for _ in range(4):
            self._file(FIELD).write_text(field_text(self.chance))
            self._file(EXTRA).write_text(extra_text(self.chance))
            self._commits.append(self._repository.commit())

    def note_in_force(self) -> None:
        """Take the rules of the start as the first that are in force."""
        self._expect()

    def edit(self, number: int) -> None:
        """Edit the files in one way or another, and wait until the gateway follows."""
        if self.chance.random() < BROKEN_SHARE:
            self._break()
        if number % GIT_EVERY == GIT_EVERY - 1 and self._repository is not None:
            self._repository.checkout(self.chance.choice(self._commits))
            self.findings.faults["git checkout"] += 1
        else:
            self._write(self.chance.choice(EDITORS))
        self._expect()

    def _write(self, editor: Editor) -> None:
        name = self.chance.choice((FIELD, EXTRA))
        editor(
            self._file(name),
            field_text(self.chance) if name == FIELD else extra_text(self.chance),
            self.chance,
        )
        self.findings.faults[editor.__name__.replace("_", " ")] += 1

    def _break(self) -> None:
        """Break a file, wait until the gateway says so, and mend it."""
        name = self.chance.choice((FIELD, EXTRA))
        good = self._file(name).read_text()
        write_in_place(self._file(name), self.chance.choice(BROKEN), self.chance)
        report = self.gateway.wait_for(
            lambda report: (
                report["counters"].get("rule_reloads_refused", 0) > self._refused
                and any(problem["code"] == "rules" for problem in report["problems"])
            )
        )
        self.findings.faults["broken file"] += 1
        if report["rules"]["hash"] != self.hash:
            self.findings.forbid("broken rules in force", f"{report['rules']}, expected {self.hash}")
        write_in_place(self._file(name), good, self.chance)

    def _expect(self) -> None:
        """Wait until the rules of the files are in force, and nothing is said to be wrong with them."""
        wanted = load_rules(self.gateway.rules).hash
        report = self.gateway.wait_for(
            lambda report: (
                report["rules"]["hash"] == report["rules"]["on_disk_hash"] == wanted
                and not any(problem["code"] == "rules" for problem in report["problems"])
            )
        )
        self._refused = report["counters"].get("rule_reloads_refused", 0)
        self.reloads += wanted != self.hash and bool(self.hash)
        self.hash = wanted

    def _file(self, name: str) -> Path:
        return self.gateway.rules / name


def judge_reloads(findings: Findings, counted: int, expected: int) -> None:
    """Check that as many rule sets came into force since the start as the files held; the start's may count."""
    if counted not in (expected, expected + 1):
        findings.forbid("reloads", f"{counted} rule sets came into force, the files held {expected} others")


def judge_pauses(findings: Findings, log: str) -> None:
    """Check the time of the loop's own thread that each reload took; a busy machine does not lengthen it."""
    taken = [float(text) for text in _TAKEN.findall(log)]
    findings.measured["reload ms, most"] = max(taken, default=0.0)
    findings.measured["reloads measured"] = len(taken)
    if not taken:
        findings.forbid("nothing judged", "no reload was measured")
    for ms in taken:
        if ms > LONGEST_MS:
            findings.forbid("long reloads", f"{ms} ms, at most {LONGEST_MS:g} are allowed")


PROOF = Proof(
    "edits",
    "rule files are edited in every way while a fleet sends",
    "edits",
    full=1_000,
    quick=10,
    run=run,
)
