"""What to write instead of what other languages have: PromQL, SQL, spreadsheets, Python."""

from __future__ import annotations

import re
from typing import Final

MISSING: Final = "missing data is a key of the rule: no_data: {after: 5m}"
_TIME: Final = "rules do not know the time of day in this version"
_ROUND: Final = "compare with a limit; texts round a value with {{ value | round(1) }}"
_SPREAD: Final = "for the spread write stddev_over_time(metric, 5m)"
_SMOOTH: Final = "smooth with avg_over_time(metric, 5m)"

OTHER_FUNCTIONS: Final = {
    "average": "write avg_over_time(metric, 5m)",
    "mean": "write avg_over_time(metric, 5m)",
    "median": "write quantile_over_time(0.5, metric, 5m)",
    "quantile": "write quantile_over_time(0.95, metric, 5m)",
    "percentile": "write quantile_over_time(0.95, metric, 5m)",
    "first": "for the change since then write delta(metric, 5m)",
    "first_over_time": "for the change since then write delta(metric, 5m)",
    "last": "write last_over_time(metric, 5m), or the metric alone",
    "increase": "of a counter write rate(metric, 5m) * 300, of another metric delta(metric, 5m)",
    "irate": "write rate(metric, 1m)",
    "idelta": "write delta(metric, 1m)",
    "derivative": "write deriv(metric, 5m)",
    "slope": "write deriv(metric, 5m)",
    "stddev": _SPREAD,
    "stdvar": "multiply stddev_over_time(metric, 5m) by itself",
    "stdvar_over_time": "multiply stddev_over_time(metric, 5m) by itself",
    "resets": "for how often it changed write changes(metric, 5m)",
    "zscore": "write (metric - avg_over_time(metric, 1h)) / stddev_over_time(metric, 1h)",
    "ewma": _SMOOTH,
    "ewma_dev": _SPREAD,
    "holt_winters": _SMOOTH,
    "absent": MISSING,
    "absent_over_time": MISSING,
    "present_over_time": MISSING,
    "isnull": MISSING,
    "is_null": MISSING,
    "isnan": "NaN is missing data: no_data: {after: 5m}",
    "clamp_min": "write max(x, low)",
    "clamp_max": "write min(x, high)",
    "between": "write low <= x <= high",
    "if": "write 'and' and 'or', or two rules",
    "iif": "write 'and' and 'or', or two rules",
    "coalesce": MISSING,
    "pow": "multiply",
    "round": _ROUND,
    "floor": _ROUND,
    "ceil": _ROUND,
    **dict.fromkeys(("hour", "minute", "month", "year", "time", "timestamp", "now"), _TIME),
    **dict.fromkeys(("day_of_week", "day_of_month", "days_in_month", "weekday"), _TIME),
}
"""Functions that people know from elsewhere, or that later versions have, and what to write in this one."""

_OTHER_CHARACTERS: Final = {
    "&&": "write 'and'",
    "||": "write 'or'",
    "=~": "compare with ==, or select devices with 'match:'",
    "!~": "compare with !=, or select devices with 'match:'",
    "**": "there is no power operator; multiply",
    "//": "there is no integer division; write '/'",
    "=>": "write '>='",
    "=<": "write '<='",
    "<>": "write '!='",
    "!": "write 'not'",
    "=": "write '==' to compare",
    "&": "write 'and'",
    "|": "write 'or'",
    "{": "select devices by label with 'match:', not in the expression",
    "[": "write a range as an argument, as in avg_over_time(temperature, 5m)",
    "%": "there is no remainder operator; write a number without its unit, as in humidity > 80",
    "^": "there is no power operator; multiply",
    "?": "there is no choice; write 'and' and 'or', or two rules",
    ":": "there is no choice; write 'and' and 'or', or two rules",
    "@": "an expression is about now; delta(metric, 5m) is the change over 5m",
    "≥": "write '>='",
    "≤": "write '<='",
    "≠": "write '!='",
    **dict.fromkeys("×·∙", "write '*'"),
    "÷": "write '/'",
    **dict.fromkeys("−–—", "write '-'"),
    **dict.fromkeys("“”„«»`\u2018\u2019\u201a", "put texts in \" or '"),
    "¬": "write 'not'",
}
_UNITS: Final = "°µμΩ℃℉€$"

_OTHER_WORDS: Final = {
    "between": "write low <= x <= high",
    "offset": "an expression is about now; delta(metric, 5m) is the change over 5m",
    "is": "write '=='",
    "equals": "write '=='",
    "mod": "there is no remainder operator",
    "xor": "write (a or b) and not (a and b)",
    "by": "'by' is a key of the rule: by: [site]",
    "for": "'for' is a key of the rule: for: 30s",
    **dict.fromkeys(("like", "matches", "contains"), 'compare with ==, or with in ("a", "b")'),
    **dict.fromkeys(("if", "then", "else", "unless"), "write 'and' and 'or', or two rules"),
    **{word.upper(): f"write '{word}'" for word in ("and", "or", "not", "in")},
    **{word.title(): f"write '{word}'" for word in ("and", "or", "not", "in")},
}
_OVER_TIME: Final = frozenset(("avg", "sum", "count", "min", "max"))
_UNIT_OF_TIME: Final = re.compile(r"ms|[ywdhms]")


def of_function(name: str) -> str:
    """`; ` and what to write instead of a function, or nothing."""
    advice = OTHER_FUNCTIONS.get(name.lower())
    return f"; {advice}" if advice else ""


def of_time(name: str) -> str:
    """`; ` and what to write for a function of a group if it was meant over time, or nothing."""
    return f"; over time write {name}_over_time(metric, 5m)" if name in _OVER_TIME else ""


def of_character(text: str, at: int) -> str | None:
    """The message for a character, or a pair of them, that other languages have as an operator; None for others."""
    for wrong, advice in _OTHER_CHARACTERS.items():
        if text.startswith(wrong, at):
            return f"'{wrong}' is not an operator here; {advice}"
    if text[at] in _UNITS:
        return f"'{text[at]}' is not allowed in an expression; write the number without its unit"
    return None


def is_foreign_pair(text: str, at: int) -> bool:
    """Whether two characters that are operators of their own begin one of another language, as `<>`."""
    return text.startswith(("<>", "//", "!~"), at)


def of_word(previous: str, word: str, following: str, *, joined: bool) -> str:
    """`; ` and what to write instead of a word or sign after a complete value, or nothing.

    `previous` and `following` are the tokens around it; `joined`: no space is between the three.
    """
    of_number = previous[-1:].isdigit()
    if word == "," and joined and of_number and following[:1].isdigit():
        return f"; write {previous}.{following} with a decimal point"
    if word == "." and joined:
        return f"; a metric has no '.' in its name; write {previous}_{following} if the device sends that"
    if word in _OTHER_WORDS:
        return f"; {_OTHER_WORDS[word]}"
    if of_number and _UNIT_OF_TIME.fullmatch(word):
        return f"; a duration has no space: {previous}{word}"
    if of_number and word[:1].isalpha():
        return "; write a number without its unit"
    return ""
