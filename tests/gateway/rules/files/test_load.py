"""Rule files: every fault of every file at once, each where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.rules.files.load import load_rules, rule_files
from edge_gateway.rules.files.model import rules_schema
from edge_gateway.rules.files.scalar_position import position_in_scalar
from edge_gateway.rules.language.ruleset import RuleSet
from fleet_config.problems import ProblemsFound
from fleet_config.yaml_source import parse_yaml

HEAD = "version: 1\ngroups:\n- name: g\n  rules:\n"
EXAMPLES = Path(__file__).parents[4] / "rules"


def problems(tmp_path: Path, **files: str) -> list[str]:
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    with pytest.raises(ProblemsFound) as caught:
        load_rules(tmp_path)
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems]


def rule(tmp_path: Path, text: str) -> str:
    """The one problem of a rule written on line 5 from column 5."""
    (found,) = problems(tmp_path, a=f"{HEAD}  - {text}\n")
    return found.removeprefix("a.yaml:")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{alert: A, expr: x +, above: 1}", "5:25: expr: expected a value, found the end of the expression"),
        ('{alert: A, expr: "x \\u003E 3 && y"}', "5:34: expr: '&&' is not an operator here; write 'and'"),
        ("{alert: A, expr: 'door == ''open'' or y'}", "5:43: expr: 'or' needs a condition"),
        ("{alert: A, expr: x}", "5:5: the limit is missing"),
        ("{alert: A, expr: x, above: 1, below: 0}", "5:5: both 'above' and 'below' are set"),
        (
            "{alert: A, expr: x, above: 5, clear: 6}",
            "5:42: clear: 6 is on the wrong side; with above: 5 it must be at most",
        ),
        (
            "{alert: A, expr: x, below: 5, clear: 4}",
            "5:42: clear: 4 is on the wrong side; with below: 5 it must be at least",
        ),
        (
            "{alert: A, expr: x > 1, above: 5}",
            "5:36: above: a condition has no limit; remove it and set 'severity'",
        ),
        ("{alert: A, expr: x > 1, clear: 5}", "5:36: clear: must be a condition if 'expr' is one"),
        ("{alert: A, expr: x > 1, clear: x}", "5:36: clear: expected a condition, found a number"),
        ("{alert: A, expr: x, above: 5, clear: x < 1}", "5:42: clear: must be a number if there is a limit"),
        (
            "{alert: A, expr: x, levels: {critical: {above: 1}, warning: {above: 2}}}",
            "5:44: critical: limit 1 is reached before that of warning, 2",
        ),
        (
            "{alert: A, expr: x, levels: {critical: {above: 1}, warning: {below: 0}}}",
            "5:44: critical: the levels of an alert must all be",
        ),
        ("{alert: A, expr: x, levels: {fatal: {above: 1}}}", "5:34: fatal: 'fatal' is not allowed"),
        (
            "{alert: A, expr: x, levels: {info: {above: 1}}, for: 5s}",
            "5:58: for: set it in each of the 'levels'",
        ),
        ("{alert: A, expr: x + y, above: 1, no_data: {after: 1m}}", "5:48: no_data: 'metric' is missing"),
        ("{alert: A, no_data: {after: 1m}}", "5:25: no_data: 'metric' is missing"),
        ("{alert: A, severity: info}", "5:5: the key 'expr' is missing"),
        ("{alert: A, expr: 3, above: 1}", "expr: "),
        ("{alert: A, expr: tag.zone == 'a'}", "5:22: expr: the expression must name a metric"),
        ("{alert: A, expr: x, above: 1, for: 90}", "5:40: for: a duration needs a unit; write 90s"),
        ("{alert: A, expr: x, abov: 1}", "5:25: unknown key 'abov'"),
        ("{alert: A B, expr: x, above: 1}", "5:13: alert: 'A B' is not allowed"),
        ("{alert: A, expr: x, above: 1, by: [site]}", "5:39: by: `by` is not supported in this version"),
        ("{alert: A, expr: x, above: 1, annotations: {s: '{{ valu }}'}}", "5:56: s: unknown name 'valu'"),
        (
            "{alert: A, expr: x, above: 1, overrides: [{match: {site: a}, clear: 3}]}",
            "5:47: overrides: clear: 3 is on",
        ),
        (
            "{alert: A, expr: x, above: 1, overrides: [{match: {site: a}, below: 3}]}",
            "5:73: below: the rule has 'above'",
        ),
        (
            "{alert: A, expr: x, above: 1, overrides: [{match: {site: a}}]}",
            "5:47: overrides: this override changes nothing",
        ),
        ("{record: rate, expr: x}", "5:14: record: 'rate' is reserved in expressions"),
        ("{record: a, expr: x > 1}", "5:23: expr: a record must be a number, not a condition"),
        ("{record: a, expr: a + 1}", "5:23: circular dependency of records: a"),
    ],
)
def test_faults(tmp_path: Path, text: str, fault: str) -> None:
    found = rule(tmp_path, text)
    assert fault in found
    assert found.startswith(fault) or fault == "expr: "


def test_what_is_refused_by_name_is_not_offered_for_another(tmp_path: Path) -> None:
    found = rule(tmp_path, "{alert: A, expr: x, bu: [site]}")
    assert "unknown key 'bu'; allowed here: above, alert, annotations, below, clear," in found


def test_all_faults_of_all_files_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        a=HEAD + "  - {alert: A, expr: x +, above: 1}\n  - {alert: B, expr: 'zscore(x, 5m)', by: [site]}\n",
        b="version: 1\ngroups:\n- name: g\n  rules:\n  - {alert: A, expr: x, above: 1, bellow: 1}\ninhibit: []\n",
        c=HEAD.replace("name: g", "name: h") + "  - {alert: A, expr: x, above: 1}\n",
        d="version: 1\ngroups: [\n",
    )
    assert [line.split(": ")[0] for line in found] == [
        "a.yaml:5:25",
        "a.yaml:6:23",
        "a.yaml:6:43",
        "b.yaml:5:35",
        "b.yaml:6:10",
        "c.yaml:5:13",
        "d.yaml:3:1",
    ]
    assert "`zscore` is not supported" in found[1]
    assert "`inhibit` is not supported" in found[4]
    assert "duplicate alert name 'A'; first used at" in found[5]


def test_an_expression_over_several_lines(tmp_path: Path) -> None:
    text = HEAD + "  - alert: A\n    above: 1\n    expr: >\n      x\n      + zscore(y, 5m)\n"
    assert problems(tmp_path, a=text)[0].startswith("a.yaml:9:9: expr: `zscore`")


def test_which_files_are_rule_files(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yaml", ".hidden.yaml", "a.test.yaml", "notes.txt", "c.yml"):
        (tmp_path / name).write_text(HEAD.replace("rules:", "rules: []"))
    assert [file.name for file in rule_files(tmp_path)] == ["a.yaml", "b.yaml"]


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


def test_the_schema_knows_every_key_and_none_that_is_refused() -> None:
    schema = rules_schema()
    alert = schema["$defs"]["AlertSpec"]["properties"]
    assert {"alert", "expr", "for", "levels", "no_data", "keep_firing_for", "overrides", "commands"} <= set(
        alert
    )
    assert "by" not in alert
    assert "inhibit" not in schema["properties"]
    assert alert["for"]["default"] == "0s"


_TEXTS = st.text(st.sampled_from("ab 1+<'\"\\#:,[]{}&*!|>%é\t"), min_size=1, max_size=12).filter(
    lambda text: text == text.strip()
)


@given(text=_TEXTS, before=st.integers(0, 3), data=st.data())
def test_places_in_quoted_scalars(text: str, before: int, data: st.DataObject) -> None:
    quote = data.draw(st.sampled_from("'\""))
    written = (
        text.replace("'", "''")
        if quote == "'"
        else text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    )
    source = "\n" * before + f"key: {quote}{written}{quote}\n"
    document = parse_yaml(source, "f")
    assert document.data["key"] == text
    for offset, character in enumerate(text):
        line, column = position_in_scalar(source, *document.where(("key",)), offset)
        found = source.split("\n")[line - 1][column - 1]
        assert line == before + 1
        assert found == character or (found == "\\" and quote == '"')
