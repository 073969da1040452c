"""What people write who know other languages, and what they are told to write instead."""

from __future__ import annotations

import re

import pytest

from edge_gateway.rules.language.advice import OTHER_FUNCTIONS
from edge_gateway.rules.language.analysis import analyse
from edge_gateway.rules.language.functions import FUNCTIONS, UNSUPPORTED
from edge_gateway.rules.language.tokens import ExpressionError

NOW = "an expression is about now; delta(metric, 5m) is the change over 5m"
NO_CHOICE = "there is no choice; write 'and' and 'or', or two rules"


def refusal(text: str) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        analyse(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "at", "end"),
    [
        ("avg(temperature, 5m) > 3", 0, "write avg(x); over time write avg_over_time(metric, 5m)"),
        (
            "1 + zscore(t, 5m)",
            4,
            "in this version; write (metric - avg_over_time(metric, 1h)) / stddev_over_time(metric, 1h)",
        ),
        ("no_data(t, 5m)", 0, "of a group; missing data is a key of the rule: no_data: {after: 5m}"),
        (
            "x > 80%",
            6,
            "there is no remainder operator; write a number without its unit, as in humidity > 80",
        ),
        ("x > 5 °C", 6, "'°' is not allowed in an expression; write the number without its unit"),
        ("x > 5 C", 6, "expected an operator or the end, found 'C'; write a number without its unit"),
        ("x > 1,5", 5, "expected an operator or the end, found ','; write 1.5 with a decimal point"),
        ("(x > 1,5)", 6, "expected ')' to close the parenthesis, found ','; write 1.5 with a decimal point"),
        ("x between 1 and 2", 2, "found 'between'; write low <= x <= high"),
        ("x > 1 ? 2 : 3", 6, "'?' is not an operator here; " + NO_CHOICE),
        ("x offset 5m > 3", 2, "found 'offset'; " + NOW),
        ("x @ 5", 2, "'@' is not an operator here; " + NOW),
        ("x ≥ 5", 2, "'≥' is not an operator here; write '>='"),
        ("x <> 5", 2, "'<>' is not an operator here; write '!='"),
        ("x => 5", 2, "'=>' is not an operator here; write '>='"),
        ("x =< 5", 2, "'=<' is not an operator here; write '<='"),
        ("x // 5", 2, "'//' is not an operator here; there is no integer division; write '/'"),
        ("x !~ 'a'", 2, "'!~' is not an operator here; compare with !=, or select devices with 'match:'"),
        ("x − 5", 2, "'−' is not an operator here; write '-'"),
        ("door == “open”", 8, "'“' is not an operator here; put texts in \" or '"),
        (
            "motor.temp > 3",
            5,
            "found '.'; a metric has no '.' in its name; write motor_temp if the device sends that",
        ),
        ("rate(x, 30 s)", 11, "found 's'; a duration has no space: 30s"),
        ("x > 1 AND y > 2", 6, "found 'AND'; write 'and'"),
        ("x is 5", 2, "found 'is'; write '=='"),
        ("x > 5 for 30s", 6, "found 'for'; 'for' is a key of the rule: for: 30s"),
        ("door like 'open'", 5, 'found \'like\'; compare with ==, or with in ("a", "b")'),
        ("x 5", 2, "expected an operator or the end, found '5'"),
    ],
)
def test_what_to_write_instead(text: str, at: int, end: str) -> None:
    refused = refusal(text)
    assert refused.at == at
    assert refused.message.endswith(end)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("absent", "missing data is a key of the rule: no_data: {after: 5m}"),
        ("increase", "of a counter write rate(metric, 5m) * 300, of another metric delta(metric, 5m)"),
        ("hour", "rules do not know the time of day in this version"),
        ("between", "write low <= x <= high"),
    ],
)
def test_a_function_of_another_language(name: str, instead: str) -> None:
    known = ", ".join(sorted(FUNCTIONS))
    assert refusal(f"{name}(x)").message == f"there is no function '{name}'; {instead}; one of {known}"


def test_the_nearest_function_comes_before_the_list_of_all() -> None:
    assert "there is no function 'abbs'; did you mean 'abs'? One of abs, " in refusal("abbs(x)").message


def test_every_function_that_is_known_elsewhere_gets_advice_that_this_version_takes() -> None:
    assert OTHER_FUNCTIONS.keys() >= UNSUPPORTED
    assert not OTHER_FUNCTIONS.keys() & FUNCTIONS.keys()
    for advice in OTHER_FUNCTIONS.values():
        for call in re.findall(r"[a-z_]+\([^)]*\)", advice.partition("{{")[0]):
            analyse(call)
