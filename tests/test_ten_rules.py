"""The ten rules with which the page of rules begins do what their comments say."""

import shutil
from pathlib import Path

from edge_gateway.rules.testing.runner import run_rule_tests
from tests.test_docs import ROOT, YAML


def test_the_ten_rules_do_what_their_comments_say(tmp_path: Path) -> None:
    (ten,) = (block for block in YAML if "name: ten-rules" in block.text)
    (tmp_path / "ten_rules.yaml").write_text(ten.text)
    shutil.copy(ROOT / "tests" / "ten_rules.test.yaml", tmp_path)
    report = run_rule_tests([tmp_path / "ten_rules.test.yaml"])
    assert report.ok, report.as_dict()
    assert not report.uncovered
