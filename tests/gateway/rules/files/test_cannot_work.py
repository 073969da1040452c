"""Rules that are valid and cannot work: what `rules check` warns of, where, and what it must not warn of."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_gateway.rules.files.cannot_work import KnownDevice, KnownNames, warnings_of
from edge_gateway.rules.files.load import load_placed
from tests.gateway.rules.files.rule_files import HEAD

FLEET = KnownNames(
    devices=[
        KnownDevice("berlin", "f1", "freezer", {"room": "cellar"}),
        KnownDevice("lyon", "p1", "pump", {"line": "L1"}),
    ],
    metrics=frozenset({"temperature", "humidity", "door"}),
    judges=lambda _: True,
)
SELDOM = (
    "for: humidity counts for 5m, its lookback; if it comes more seldom this never fires; "
    "set a longer one in 'metrics' of the group"
)
NOBODY = KnownNames(devices=[], metrics=frozenset(), judges=lambda _: False)


def warnings(tmp_path: Path, text: str, known: KnownNames, head: str = HEAD) -> list[str]:
    """The warnings of rules, the first on line 5 from column 5."""
    (tmp_path / "a.yaml").write_text(f"{head}  - {text}\n")
    found = warnings_of(load_placed(tmp_path).placed, known)
    return [str(problem).partition("a.yaml:")[2] for problem in found]


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            "{alert: A, expr: temprature, above: 1}",
            "5:22: expr: no device, test or record has a metric 'temprature'; did you mean 'temperature'?",
        ),
        (
            "{alert: A, expr: humidity + x, above: 1}",
            "5:33: expr: no device, test or record has a metric 'x'",
        ),
        (
            "{alert: A, expr: humidity > 1, clear: humdity < 1}",
            "5:43: clear: no device, test or record has a metric 'humdity'; did you mean 'humidity'?",
        ),
        (
            "{alert: A, expr: humidity, above: 1, for: 5m}",
            f"5:47: {SELDOM}",
        ),
        (
            "{alert: A, levels: {info: {expr: humidity < 1, for: 299s}, critical: {expr: humidity < 0, for: 10m}}}",
            f"5:100: {SELDOM}",
        ),
        (
            "{alert: A, levels: {info: {expr: humidty > 1, clear: humidity < 1}}}",
            "5:38: expr: no device, test or record has a metric 'humidty'; did you mean 'humidity'?",
        ),
        (
            "{alert: A, levels: {info: {expr: humidity > 1, clear: humidity > 0}}}",
            "5:59: clear: it holds whenever 'expr' does, so that the alert ends at once",
        ),
        (
            "{alert: A, no_data: {after: 1m, metric: dor}}",
            "5:45: metric: no device, test or record has a metric 'dor'; did you mean 'door'?",
        ),
        (
            "{alert: A, expr: avg(humidity), by: [site, rooom], above: 1}",
            "5:41: by: no device has a tag 'rooom'; did you mean 'room'?",
        ),
        (
            "{alert: A, expr: 'share(no_data(humdity, 1m))', by: [site], above: 0.5}",
            "5:41: expr: no device, test or record has a metric 'humdity'; did you mean 'humidity'?",
        ),
        (
            "{alert: A, expr: door == open}",
            "5:30: expr: 'open' is read as a metric, which nothing has; put a text in quotes: door == \"open\"",
        ),
        (
            "{alert: A, expr: door == 'a' and tag.rom == 'x'}",
            "5:38: expr: no device has a tag 'rom'; did you mean 'room'?",
        ),
        (
            "{alert: A, expr: door == 'a', match: {rom: '*'}}",
            "5:43: match: no device has a tag 'rom'; did you mean 'room'?",
        ),
        ("{alert: A, expr: door == 'a', match: {type: oven}}", "5:42: match: no known device fits"),
        (
            "{alert: A, expr: door == 'a', match: {site: lyon, type: freezer}}",
            "5:42: match: no known device fits",
        ),
        (
            "{alert: A, expr: humidity, above: 1, overrides: [{match: {site: rome}, above: 2}]}",
            "5:62: match: no known device fits",
        ),
    ],
)
def test_a_name_that_nothing_has(tmp_path: Path, text: str, warning: str) -> None:
    assert warnings(tmp_path, text, FLEET) == [warning]


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            "{alert: A, expr: door == open}",
            "5:30: expr: 'open' is read as a metric, which nothing has; put a text in quotes: door == \"open\"",
        ),
        (
            "{alert: A, expr: x, above: 1, match: {sites: berlin}}",
            "5:43: match: no device has a tag 'sites'; did you mean 'site'?",
        ),
        (
            "{alert: A, expr: x > 1 and tag.site == 'lyon'}",
            "5:32: expr: 'site' is no tag; select by it with match: {site: …}",
        ),
        ("{alert: A, expr: 5 > x > 7}", "5:22: expr: this condition never holds"),
        (
            "{alert: A, expr: x, above: 5, commands: [{name: c, on: [no_data]}]}",
            "5:60: on: the rule never sends it on no_data: it has no 'no_data'",
        ),
        (
            "{alert: A, expr: x, above: 5, commands: [{name: c, on: [repeat, escalated]}]}",
            "5:60: on: the rule never sends it on repeat: it has no 'repeat'; nor on escalated: it has no second level",
        ),
        ("{alert: A, expr: x > 5 or x < 7}", "5:22: expr: this condition always holds"),
        (
            "{alert: A, expr: b > 1, clear: b > 0}",
            "5:36: clear: it holds whenever 'expr' does, so that the alert ends at once",
        ),
        (
            "{alert: A, expr: b > 1, clear: b > 0 and b < 0}",
            "5:36: clear: this condition never holds, so that the alert never ends",
        ),
    ],
)
def test_what_shows_in_the_rule_alone(tmp_path: Path, text: str, warning: str) -> None:
    assert warnings(tmp_path, text, NOBODY) == [warning]


@pytest.mark.parametrize("known", [FLEET, NOBODY])
@pytest.mark.parametrize(
    "text",
    [
        "{alert: A, expr: temperature - humidity, above: 1, match: {type: [freezer, oven], room: '*'}}",
        "{record: r, expr: humidity * 2}\n  - {alert: A, expr: r > 1, clear: r < 0, no_data: {after: 1m, metric: r}}",
        '{alert: A, expr: \'door == "open" and tag.line == "L1"\', match: {site: lyon}}',
        "{alert: A, expr: humidity > 1, commands: [{name: c, on: [firing, escalated]}]}",
        (
            "{alert: A, expr: humidity > 1, repeat: 1h, no_data: {after: 1m, severity: critical},"
            " commands: [{name: c, on: [escalated]}, {name: d, on: [repeat]}, {name: e, on: [no_data]}]}"
        ),
        "{alert: A, expr: humidity > 1}\n  - {alert: B, expr: temperature == humidity}",
    ],
)
def test_rules_that_work(tmp_path: Path, known: KnownNames, text: str) -> None:
    assert warnings(tmp_path, text, known) == []


def test_names_are_not_judged_where_nothing_is_known(tmp_path: Path) -> None:
    text = (
        "{alert: A, expr: x, above: 1, match: {building: '7', type: oven}, no_data: {after: 1m, metric: x}}"
    )
    assert warnings(tmp_path, text, NOBODY) == []


def test_a_group_for_devices_of_another_site_is_one_warning(tmp_path: Path) -> None:
    head = HEAD.replace("  rules:", "  match: {type: oven}\n  rules:")
    text = "{alert: A, expr: q, above: 1}\n  - {alert: B, expr: r, above: 1}"
    assert warnings(tmp_path, text, FLEET, head) == ["4:10: match: no known device fits"]
