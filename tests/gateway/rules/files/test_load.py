"""Loading rule files: which are read, and all errors of all files at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_gateway.rules.files.load import files_hash, load_rules, rule_files
from edge_gateway.rules.language.ruleset import RuleSet
from fleet_config.problems import MOST_PROBLEMS, ProblemsFound
from tests.gateway.rules.files.rule_files import HEAD, problem_of_rule, problems

EXAMPLES = Path(__file__).parents[4] / "rules"


def test_all_errors_of_all_files_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        a=HEAD
        + "  - {alert: A, expr: x +, above: 1}\n  - {alert: B, expr: 'zscore(x, 5m)', above: 1}\n"
        + "  - {record: r, expr: x, by: [site]}\n",
        b="version: 1\ngroups:\n- name: g\n  rules:\n  - {alert: A, expr: x, above: 1, bellow: 1}\ninhibit: none\n",
        c=HEAD.replace("name: g", "name: h") + "  - {alert: A, expr: x, above: 1}\n",
        d="version: 1\ngroups: [\n",
    )
    assert [line.split(": ")[0] for line in found] == [
        "a.yaml:5:25",
        "a.yaml:6:23",
        "a.yaml:7:26",
        "b.yaml:5:35",
        "b.yaml:6:10",
        "c.yaml:5:13",
        "d.yaml:2:9",
    ]
    assert "`zscore` is not supported" in found[1]
    assert "inhibit: must be a list" in found[4]
    assert "duplicate alert name 'A'; first used at" in found[5]


def test_an_expression_over_several_lines(tmp_path: Path) -> None:
    text = HEAD + "  - alert: A\n    above: 1\n    expr: >\n      x\n      + zscore(y, 5m)\n"
    assert problems(tmp_path, a=text)[0].startswith("a.yaml:9:9: expr: `zscore`")


def test_which_files_are_rule_files(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yaml", ".hidden.yml", "a.test.yaml", "c.test.yml", "notes.txt", "c.yml"):
        (tmp_path / name).write_text(HEAD.replace("rules:", "rules: []"))
    assert [file.name for file in rule_files(tmp_path)] == ["a.yaml", "b.yaml", "c.yml"]


def test_a_directory_with_files_but_no_rule_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml.bak").touch()
    (tmp_path / "notes.txt").touch()
    fault = r"no rule file among its 2 files \(mine.yaml.bak, notes.txt\): the name of a rule file ends in .yaml or"
    with pytest.raises(ProblemsFound, match=fault):
        load_rules(tmp_path)


@pytest.mark.parametrize("name", ["", ".gitkeep", "a.test.yml"])
def test_a_directory_without_a_rule_file(tmp_path: Path, name: str) -> None:
    if name:
        (tmp_path / name).touch()
    with pytest.raises(ProblemsFound) as found:
        load_rules(tmp_path)
    assert str(found.value) == (
        f"{tmp_path}: no rule file in this directory: the name of a rule file ends in .yaml or .yml; "
        "for a gateway without rules write 'rules: null' in gateway.yaml"
    )


def test_the_hash_of_the_files_tells_every_change_of_their_bytes(tmp_path: Path) -> None:
    assert files_hash(tmp_path) == files_hash(tmp_path / "nowhere") == ""
    file = tmp_path / "a.yaml"
    seen = []
    for make in (
        lambda: file.write_text("version: 1\n"),
        lambda: file.write_text("version: 1 \n"),
        lambda: file.rename(tmp_path / "b.yaml"),
        file.mkdir,
    ):
        make()
        seen.append(files_hash(tmp_path))
    assert len(set(seen)) == len(seen)
    assert all(len(each) == 16 for each in seen)


def test_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(ProblemsFound, match="no such file"):
        load_rules(tmp_path / "nowhere")


def test_the_examples_load_and_survive_the_journal() -> None:
    rules = load_rules(EXAMPLES)
    assert len(rules.rules) > 20
    again = RuleSet.from_plain(rules.to_plain())
    assert again == rules
    assert again.hash == rules.hash


def test_comments_and_spaces_change_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(HEAD + "  - {alert: A, expr: x+1, above: 1}\n")
    first = load_rules(file)
    file.write_text("# why\n" + HEAD + "  - alert: A\n    expr: x  +  1\n    above: 1.0\n    for: 0s\n")
    assert load_rules(file).hash == first.hash
    file.write_text(HEAD + "  - {alert: A, expr: x+1, above: 2}\n")
    assert load_rules(file).hash != first.hash


def test_on_change_has_a_default_that_a_rule_overrides(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(
        HEAD + "  - {alert: A, expr: x, above: 1}\n  - {alert: B, expr: x, above: 1, on_change: keep}\n"
    )
    assert [each.on_change for each in load_rules(file, on_change="reset").rules] == ["reset", "keep"]


def test_loading_stops_once_no_more_errors_are_shown(tmp_path: Path) -> None:
    rules = "".join(f"  - {{alert: R{number}, expr: x +, above: 1}}\n" for number in range(MOST_PROBLEMS))
    found = problems(tmp_path, a=HEAD + rules, b="version: 2\n")
    assert len(found) == MOST_PROBLEMS
    assert all(line.startswith("a.yaml:") for line in found)


def command(args: str) -> str:
    return f"{{alert: A, expr: x, above: 1, commands: [{{name: c, args: {args}}}]}}"


@pytest.mark.parametrize(
    ("args", "fault"),
    [
        ("{n: 99999999999999999999}", "5:62: args: an argument is beyond 64 bits"),
        (
            "{n: [1, 2]}",
            "5:66: n: must be true or false, a whole number, a number or text, not a list",
        ),
        ("{n: .nan}", "5:66: n: must be"),
        ("{Speed: 1}", "5:63: Speed: 'Speed' is not allowed"),
        (
            str({f"a{number}": "x" * 1_000 for number in range(9)}),
            "5:62: args: 9055 bytes of arguments; at most 8192",
        ),
    ],
)
def test_arguments_that_no_device_would_take_are_refused(tmp_path: Path, args: str, fault: str) -> None:
    assert problem_of_rule(tmp_path, command(args)).startswith(fault)


def test_arguments_keep_their_types(tmp_path: Path) -> None:
    args = "{a: 1, b: true, c: 1.5, d: '3', e: null}"
    (tmp_path / "a.yaml").write_text(f"{HEAD}  - {command(args)}\n")
    ((sent,),) = (one.commands for one in load_rules(tmp_path).alerts)
    told = [(name, type(value)) for name, value in sent.args.items()]
    assert told == [("a", int), ("b", bool), ("c", float), ("d", str), ("e", type(None))]


def test_the_rest_of_an_invalid_file_is_checked_until_enough_is_found(tmp_path: Path) -> None:
    rules = "".join(f"  - {{alert: R{number}, expr: x +, above: 1}}\n" for number in range(2 * MOST_PROBLEMS))
    found = problems(tmp_path, a=HEAD + rules + "inhibit: none\n")
    assert MOST_PROBLEMS <= len(found) <= MOST_PROBLEMS + 1
