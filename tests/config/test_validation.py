# ruff: noqa: E501 - tables of messages are read line by line
from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field, ValidationError, create_model

from fleet_config.durations import Duration, Percent, Rate, Size
from fleet_config.match import Match, MatchSpec
from fleet_config.problems import ProblemsFound
from fleet_config.validation import Strict, validate
from fleet_config.yaml_source import parse_yaml


class Sine(Strict):
    model: Literal["sine"]
    amplitude: float = 1.0


class Thermal(Strict):
    model: Literal["thermal"]
    setpoint: float = Field(ge=-50, le=50)
    lag: Duration = 1000


class Group(Strict):
    count: int = Field(gt=0)
    sites: tuple[str, ...] = Field(default=(), max_length=2)
    metrics: dict[str, Annotated[Sine | Thermal, Field(discriminator="model")]] = Field(default_factory=dict)
    either: int | Sine | None = None
    kind: Literal["fast", "slow"] = "fast"
    on: bool = False
    for_: Duration | None = Field(default=None, alias="for")
    match: MatchSpec = Match()
    id: Annotated[str, Field(pattern="^[a-z]+$", max_length=5)] = "x"


class Root(Strict):
    fleet: dict[str, Group]
    share: Percent = 0.0
    rate: Rate | None = None
    size: Size = 0


def complaints(text: str, model: Any = Root) -> list[str]:
    with pytest.raises(ProblemsFound) as found:
        validate(model, parse_yaml(text, "f"))
    return [str(problem).removeprefix("f:") for problem in found.value.problems]


def in_group(line: str) -> str:
    (only,) = complaints(f"fleet:\n  f:\n    count: 1\n    {line}\n")
    return only


def test_a_good_document_becomes_a_frozen_model() -> None:
    root = validate(Root, parse_yaml(
        "fleet: {f: {count: 2, sites: [a, b], metrics: {t: {model: thermal, setpoint: 1}}, for: 1m30s}}\n"
        "share: 10%\nrate: 6/m\nsize: 4GiB\n", "f"))  # fmt: skip
    group = root.fleet["f"]
    assert (group.count, group.sites, group.for_, root.share, root.size) == (
        2,
        ("a", "b"),
        90_000,
        0.1,
        4 << 30,
    )
    assert group.metrics["t"] == Thermal(model="thermal", setpoint=1.0)
    assert root.rate is not None
    assert (root.rate.count, root.rate.per_ms) == (6.0, 60_000)
    with pytest.raises(ValidationError):
        group.count = 3


def test_every_mistake_is_reported_at_once_at_its_place() -> None:
    assert complaints(
        "fleet:\n"
        "  f:\n"
        "    cuont: 5\n"
        "    on: yes\n"
        "    metrics:\n"
        "      t: {model: termal}\n"
        "      u: {model: thermal, setpint: 5}\n"
        "share: 120%\n"
    ) == [
        "2:3: f: the key 'count' is missing",
        "3:5: unknown key 'cuont'; did you mean 'count'? Allowed here: count, either, for, id, kind, match, metrics, on, sites",
        "4:9: on: must be true or false, not the text 'yes'; write true",
        "6:18: model: 'termal' is not allowed; did you mean 'thermal'? One of sine, thermal",
        "7:7: u: the key 'setpoint' is missing",
        "7:27: unknown key 'setpint'; did you mean 'setpoint'? Allowed here: lag, model, setpoint",
        "8:8: share: '120%' is not between 0% and 100%; write 10% or 0.1",
    ]


@pytest.mark.parametrize(("line", "expected"), [
    ("either: 1.5", "4:13: either: must be a whole number or a mapping of keys and values, not the number 1.5"),
    ("either: abc", "4:13: either: must be a whole number or a mapping of keys and values, not the text 'abc'"),
    ("either: {model: sine, amplitud: 1}", "4:27: unknown key 'amplitud'; did you mean 'amplitude'? Allowed here: amplitude, model"),
    ("kind: fats", "4:11: kind: 'fats' is not allowed; did you mean 'fast'? One of fast, slow"),
    ("kind: 5", "4:11: kind: the number 5 is not allowed; one of fast, slow"),
    ("for: 90", "4:10: for: a duration needs a unit; write 90s, 90m or 90ms"),
    ("for: 1x", "4:10: for: '1x' is not a duration; write one like 90s, 1m30s, 250ms, 2h or 7d"),
    ("sites: berlin", "4:12: sites: must be a list, not the text 'berlin'; write [berlin]"),
    ("sites: [a, 5]", "4:16: sites: must be text, not the number 5; write '5' in quotes for text"),
    ("sites: [a, b, c]", "4:12: sites: must have at most 2 entries, not 3"),
    ("sites: [true]", "4:13: sites: must be text, not true; write 'true' in quotes for text"),
    ("metrics: {t: {model: thermal, setpoint: 51}}", "4:45: setpoint: must be at most 50, not 51"),
    ("metrics: {t: {model: thermal, setpoint: '1'}}", "4:45: setpoint: must be a number, not the text '1'; write 1, without quotes"),
    ("metrics: {t: {setpoint: 1}}", "4:15: t: the key 'model' is missing"),
    ("metrics: [t]", "4:14: metrics: must be a mapping of keys and values, not a list; write its keys without '- ' or [ ]"),
    ("match: {site: [a, 5]}", "4:23: site: must be text, not the number 5; write '5' in quotes for text"),
    ("match: {site: 5}", "4:19: site: must be text or a list of texts, not the number 5; write '5' in quotes for text"),
    ("match: {site: []}", "4:19: site: must have at least 1 entry, not 0"),
    ("on: 1", "4:9: on: must be true or false, not the number 1"),
    ("id: Abc", "4:9: id: 'Abc' is not allowed; it must fit ^[a-z]+$"),
    ("id: abcdef", "4:9: id: must have at most 5 characters, not 6"),
    ("id:", "4:8: id: must be text, not nothing"),
])  # fmt: skip
def test_each_kind_of_mistake_has_its_text(line: str, expected: str) -> None:
    assert in_group(line) == expected


def test_numbers_and_booleans_are_not_converted() -> None:
    assert complaints("fleet: {f: {count: '5'}}") == [
        "1:20: count: must be a whole number, not the text '5'; write 5, without quotes"
    ]
    assert complaints("fleet: {f: {count: true}}") == ["1:20: count: must be a whole number, not true"]
    assert complaints("fleet: {f: {count: 0}}") == ["1:20: count: must be above 0, not 0"]


def test_a_document_that_is_not_a_mapping_is_refused() -> None:
    assert complaints("- a\n") == [
        "1:1: must be a mapping of keys and values, not a list; write its keys without '- ' or [ ]"
    ]
    assert complaints("a: 1\n") == [
        "1:1: the key 'fleet' is missing",
        "1:1: unknown key 'a'; allowed here: fleet, rate, share, size",
    ]


def test_a_part_of_a_document_can_be_validated() -> None:
    document = parse_yaml("a:\n- {count: 1}\n- {count: x}\n", "f")
    assert validate(Group, document, at=("a", 0)).count == 1
    with pytest.raises(ProblemsFound) as found:
        validate(Group, document, at=("a", 1))
    assert str(found.value) == "f:3:11: count: must be a whole number, not the text 'x'"


class One(Strict):
    alert: str
    above: float


class Two(Strict):
    alert: str
    when: str
    limit: Literal[1]


class Rules(Strict):
    rules: list[One | Two]


def test_of_an_undiscriminated_union_only_the_nearest_member_complains() -> None:
    assert complaints("rules:\n- {alert: a, abov: 1}", Rules) == [
        "2:3: rules: the key 'above' is missing",
        "2:14: unknown key 'abov'; did you mean 'above'? Allowed here: above, alert",
    ]
    assert complaints("rules: [5]", Rules) == [
        "1:9: rules: must be a mapping of keys and values, not the number 5"
    ]
    for text in complaints("rules:\n- {alert: a, abov: 1}\n- {alert: 5, above: x}", Rules):
        for word in ("One", "Two", "union", "Input", "validator", "function"):
            assert word not in text


class Base(Strict):
    inherited: int = 0
    """from the base"""


class Described(Base):
    constant: ClassVar[int] = 1
    """of the class, so of no key"""
    for_: int = Field(default=0, alias="for")
    """under
    its alias"""
    silent: int = 0


def test_docstrings_of_fields_are_the_descriptions_in_the_schema() -> None:
    properties = Described.model_json_schema()["properties"]
    descriptions = {name: each.get("description") for name, each in properties.items()}
    assert descriptions == {"inherited": "from the base", "for": "under\nits alias", "silent": None}
    assert (
        "description"
        not in create_model("Made", __base__=Strict, x=(int, 0)).model_json_schema()["properties"]["x"]
    )


def test_a_bound_of_a_duration_is_told_as_a_duration() -> None:
    model = create_model("Waiting", __base__=Strict, keep=(Annotated[Duration, Field(ge=3_600_000)], ...))
    assert complaints("keep: 5s\n", model) == ["1:7: keep: must be at least 1h, not 5s"]
