"""Rule files as people write them: the one place that says which keys there are."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Discriminator, Field, FiniteFloat, Tag, TypeAdapter

from edge_gateway.rules.language.functions import RESERVED
from edge_gateway.rules.language.ruleset import NoDataState
from fleet_config.durations import DURATION_PATTERN, Duration, format_duration
from fleet_config.match import MatchSpec
from fleet_config.yaml_source import Strict

LevelName = Literal["critical", "warning", "info"]
CommandEvent = Literal["firing", "escalated", "deescalated", "resolved", "no_data", "repeat"]

DEFAULT_EXPIRES_MS: Final = 60_000
UNSUPPORTED_KEYS: Final = ("by", "inhibit")
"""Keys of the design that this version does not have; they are refused by name."""


def _unsupported(name: str) -> BeforeValidator:
    def refuse(_value: Any) -> Any:
        raise ValueError(f"`{name}` is not supported in this version")

    return BeforeValidator(refuse)


def _free(name: Any) -> Any:
    if isinstance(name, str) and name in RESERVED:
        raise ValueError(f"'{name}' is a word of the expression language; choose another name")
    return name


RuleName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
GroupName = Annotated[str, Field(pattern=r"^[^\s/+#](?:[^\n\r\t/+#]{0,62}[^\s/+#])?$")]
MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$"), BeforeValidator(_free)]
LabelName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
ShortText = Annotated[str, Field(max_length=1024)]
Expression = Annotated[str, Field(min_length=1)]


class NoDataSpec(Strict):
    after: Annotated[Duration, Field(gt=0)]
    """How long a device may be silent, by the listening clock."""
    state: NoDataState = "alerting"
    """alerting raises the alert, ok resolves it, no_data only reports, keep_last leaves all as it is."""
    severity: LevelName | None = None
    metric: MetricName | None = None
    """The metric that must keep coming; needed where the expression names several or there is none."""


class LimitSpec(Strict):
    above: FiniteFloat | None = None
    below: FiniteFloat | None = None
    clear: FiniteFloat | None = None
    """While firing, only a value at or past this ends it; the limit itself when left out."""
    for_: Annotated[Duration, Field(alias="for")] = 0
    """How long the value must stay beyond the limit."""


class LimitChange(Strict):
    above: FiniteFloat | None = None
    below: FiniteFloat | None = None
    clear: FiniteFloat | None = None
    for_: Annotated[Duration | None, Field(alias="for")] = None


class OverrideSpec(LimitChange):
    match: MatchSpec
    levels: dict[LevelName, LimitChange] = Field(default_factory=dict)
    keep_firing_for: Duration | None = None


class ConfirmSpec(Strict):
    within: Annotated[Duration, Field(gt=0)]
    """How long the device may take to acknowledge."""
    retries: Annotated[int, Field(ge=0, le=10)] = 0


class CommandSpec(Strict):
    name: RuleName
    args: dict[str, Any] = Field(default_factory=dict)
    on: Annotated[tuple[CommandEvent, ...], Field(min_length=1)] = ("firing",)
    """Which changes of the alert send it."""
    cooldown: Duration = 0
    """Not again within this time, per command and level."""
    expires: Annotated[Duration, Field(gt=0)] = DEFAULT_EXPIRES_MS
    confirm: ConfirmSpec | None = None


class AlertSpec(Strict):
    alert: RuleName
    expr: Expression | None = None
    match: MatchSpec | None = None
    above: FiniteFloat | None = None
    below: FiniteFloat | None = None
    clear: FiniteFloat | str | None = None
    """A number beside a limit, a condition beside a condition."""
    for_: Annotated[Duration, Field(alias="for")] = 0
    severity: LevelName | None = None
    levels: Annotated[dict[LevelName, LimitSpec] | None, Field(min_length=1)] = None
    keep_firing_for: Duration = 0
    """How long the clear must hold before the alert resolves."""
    no_data: NoDataSpec | None = None
    overrides: tuple[OverrideSpec, ...] = ()
    """Other limits for some devices; the first that matches counts."""
    labels: dict[LabelName, ShortText] = Field(default_factory=dict)
    annotations: dict[LabelName, ShortText] = Field(default_factory=dict)
    commands: tuple[CommandSpec, ...] = ()
    warmup: Duration = 0
    """No transition until the device has been seen so long."""
    repeat: Annotated[Duration | None, Field(gt=0)] = None
    notify_device: bool = True
    on_change: Literal["keep", "reset"] | None = None
    unit: str | None = None
    by: Annotated[None, _unsupported("by"), Field(exclude=True)] = None


class RecordSpec(Strict):
    record: MetricName
    expr: Expression
    match: MatchSpec | None = None
    unit: str | None = None
    by: Annotated[None, _unsupported("by"), Field(exclude=True)] = None


def _rule_kind(value: Any) -> str:
    return "record rule" if isinstance(value, dict) and "record" in value else "alert rule"


RuleSpec = Annotated[
    Annotated[AlertSpec, Tag("alert rule")] | Annotated[RecordSpec, Tag("record rule")],
    Discriminator(_rule_kind),
]


class GroupSpec(Strict):
    name: GroupName
    match: MatchSpec | None = None
    rules: tuple[RuleSpec, ...]


class RuleFile(Strict):
    version: Literal[1]
    groups: tuple[GroupSpec, ...]
    inhibit: Annotated[None, _unsupported("inhibit"), Field(exclude=True)] = None


def rules_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a rule file, for editors."""
    schema = TypeAdapter(RuleFile).json_schema(by_alias=True)
    for model in [schema, *schema["$defs"].values()]:
        properties = model.get("properties", {})
        for key in UNSUPPORTED_KEYS:
            properties.pop(key, None)
        for described in properties.values():
            if described.get("pattern") == DURATION_PATTERN and "default" in described:
                described["default"] = format_duration(described["default"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "edge-gateway rules",
    }
