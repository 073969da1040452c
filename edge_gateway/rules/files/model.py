"""The schema of rule files: the only list of their keys."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, FiniteFloat, Tag, TypeAdapter

from edge_gateway.rules.language.functions import RESERVED
from edge_gateway.rules.language.ruleset import NoDataState
from fleet_config.durations import DURATION_PATTERN, Duration, format_duration
from fleet_config.match import MatchSpec
from fleet_config.validation import Strict

LevelName = Literal["critical", "warning", "info"]
CommandEvent = Literal["firing", "escalated", "deescalated", "resolved", "no_data", "repeat"]

DEFAULT_EXPIRES_MS: Final = 60_000
UNSUPPORTED_KEYS: Final = ("by", "inhibit")
"""Keys that this version does not support; errors say so."""


def _unsupported(name: str) -> BeforeValidator:
    def refuse(_value: Any) -> Any:
        raise ValueError(f"`{name}` is not supported in this version")

    return BeforeValidator(refuse)


def _unreserved(name: Any) -> Any:
    if isinstance(name, str) and name in RESERVED:
        raise ValueError(f"'{name}' is reserved in expressions; choose another name")
    return name


RuleName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
GroupName = Annotated[str, Field(pattern=r"^[^\s/+#](?:[^\n\r\t/+#]{0,62}[^\s/+#])?$")]
MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$"), BeforeValidator(_unreserved)]
LabelName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
ShortText = Annotated[str, Field(max_length=1024)]
ArgumentName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Argument = bool | int | FiniteFloat | ShortText | None
MOST_ARGUMENT_BYTES: Final = 8_192


def _sendable(args: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(msgspec.msgpack.encode(args))
    except OverflowError:
        raise ValueError("an argument is beyond 64 bits") from None
    if size > MOST_ARGUMENT_BYTES:
        raise ValueError(f"{size} bytes of arguments; at most {MOST_ARGUMENT_BYTES} fit into a command")
    return args


Expression = Annotated[str, Field(min_length=1)]


class NoDataSpec(Strict):
    after: Annotated[Duration, Field(gt=0)]
    """How long the metric may be missing, in listening time."""
    state: NoDataState = "alerting"
    """alerting raises the alert, ok resolves it, no_data only reports, keep_last changes nothing."""
    severity: LevelName | None = None
    metric: MetricName | None = None
    """The metric to watch; required unless the expression names exactly one."""


class LimitSpec(Strict):
    above: FiniteFloat | None = None
    below: FiniteFloat | None = None
    clear: FiniteFloat | None = None
    """While firing, only a value at or past this clears it; the limit itself by default."""
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
    """How long to wait for the device's acknowledgement."""
    retries: Annotated[int, Field(ge=0, le=10)] = 0


class CommandSpec(Strict):
    name: RuleName
    args: Annotated[dict[ArgumentName, Argument], Field(max_length=64), AfterValidator(_sendable)] = Field(
        default_factory=dict
    )
    on: Annotated[tuple[CommandEvent, ...], Field(min_length=1)] = ("firing",)
    """The changes of the alert that send it."""
    cooldown: Duration = 0
    """Minimum time between two of them, per command and level."""
    expires: Annotated[Duration, Field(gt=0)] = DEFAULT_EXPIRES_MS
    confirm: ConfirmSpec | None = None


class AlertSpec(Strict):
    alert: RuleName
    expr: Expression | None = None
    match: MatchSpec | None = None
    above: FiniteFloat | None = None
    below: FiniteFloat | None = None
    clear: FiniteFloat | str | None = None
    """With a limit a number, with a condition a condition."""
    for_: Annotated[Duration, Field(alias="for")] = 0
    severity: LevelName | None = None
    levels: Annotated[dict[LevelName, LimitSpec] | None, Field(min_length=1)] = None
    keep_firing_for: Duration = 0
    """How long the alert must be clear before it resolves."""
    no_data: NoDataSpec | None = None
    overrides: tuple[OverrideSpec, ...] = ()
    """Other limits for some devices; the first match applies."""
    labels: Annotated[dict[LabelName, ShortText], Field(max_length=32)] = Field(default_factory=dict)
    annotations: Annotated[dict[LabelName, ShortText], Field(max_length=16)] = Field(default_factory=dict)
    commands: tuple[CommandSpec, ...] = ()
    warmup: Duration = 0
    """No evaluation until the device has been sending for this long."""
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


class MetricSpec(Strict):
    lookback: Annotated[Duration, Field(gt=0)]
    """How long the metric's last value counts; `rules.lookback` in gateway.yaml by default."""


class GroupSpec(Strict):
    name: GroupName
    match: MatchSpec | None = None
    metrics: dict[MetricName, MetricSpec] = Field(default_factory=dict)
    """Metrics that devices send so seldom, or only when they change, that their values must count for longer."""
    rules: tuple[RuleSpec, ...]


class RuleFile(Strict):
    version: Literal[1]
    groups: tuple[GroupSpec, ...]
    inhibit: Annotated[None, _unsupported("inhibit"), Field(exclude=True)] = None


def rules_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of rule files, for editors."""
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
