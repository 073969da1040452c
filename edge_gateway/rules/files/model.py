"""The schema of rule files: the only list of their keys."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, FiniteFloat, Tag, TypeAdapter

from edge_gateway.rules.files.inhibits import MOST_INHIBITS, InhibitSpec, LevelName
from edge_gateway.rules.files.wait import Wait, WaitSpec
from edge_gateway.rules.language.functions import RESERVED
from edge_gateway.rules.language.ruleset import NoDataState
from edge_gateway.rules.language.schedule import PATTERN, covers_the_week, parse_span
from fleet_config import spelling
from fleet_config.durations import DURATION_PATTERN, Duration, format_duration
from fleet_config.explain import refused_key
from fleet_config.match import MatchSpec, TagName
from fleet_config.spelling import Spelling
from fleet_config.validation import Strict

CommandEvent = Literal["firing", "escalated", "deescalated", "resolved", "no_data", "repeat"]

DEFAULT_EXPIRES_MS: Final = 60_000
UNSUPPORTED_KEYS: Final = {"RecordSpec": "by"}
"""By model a key that this version does not support; errors say so."""


def _unsupported(name: str, instead: str) -> BeforeValidator:
    def refuse(_value: Any) -> Any:
        raise refused_key(f"`{name}` is not supported in this version; {instead}")

    return BeforeValidator(refuse)


_By = Annotated[
    None,
    _unsupported("by", "a record is of each device; put the aggregate into an alert"),
    Field(exclude=True),
]


def _unreserved(name: Any) -> Any:
    if isinstance(name, str) and name in RESERVED:
        raise ValueError(f"'{name}' is reserved in expressions; choose another name")
    return name


RuleName = Annotated[str, spelling.LEVEL]
GroupName = Annotated[
    str,
    Spelling(
        r"^[^\s/+#](?:[^\n\r\t/+#]{0,62}[^\s/+#])?$",
        "1 to 64 characters without / + # tab or line break, and no space at either end",
    ),
]
MetricName = Annotated[str, spelling.METRIC, BeforeValidator(_unreserved)]
LabelName = Annotated[str, spelling.LABEL]
ShortText = Annotated[str, Field(max_length=1024)]
ArgumentName = Annotated[str, spelling.METRIC]
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


def _time_of_week(text: str) -> str:
    parse_span(text)
    return text


def _groups_devices(keys: tuple[str, ...]) -> tuple[str, ...]:
    if "device" in keys:
        raise ValueError("'device' makes a group of each device; leave 'by' out, and 'match' selects devices")
    if len(set(keys)) < len(keys):
        raise ValueError("a key stands here twice")
    return keys


GroupKeys = Annotated[tuple[TagName, ...], Field(min_length=1, max_length=4), AfterValidator(_groups_devices)]


def _part_of_the_week(texts: tuple[str, ...]) -> tuple[str, ...]:
    if covers_the_week(map(parse_span, texts)):
        raise ValueError("these times are the whole week; leave 'at' out")
    return texts


Expression = Annotated[str, Field(min_length=1)]


TimeOfWeek = Annotated[str, AfterValidator(_time_of_week), Field(json_schema_extra={"pattern": PATTERN})]
ActiveTimes = Annotated[tuple[TimeOfWeek, ...], Field(max_length=64), AfterValidator(_part_of_the_week)]


class NoDataSpec(Strict):
    """What happens when a metric stays away."""

    after: Annotated[Duration, Field(gt=0)]
    """How long the metric may be missing, in listening time."""
    state: NoDataState = "alerting"
    """alerting raises the alert, ok resolves it, no_data only reports, keep_last changes nothing."""
    severity: LevelName | None = None
    """Level of the alert that silence raises; by default that of the rule, or its lowest."""
    metric: MetricName | None = None
    """The metric to watch; required unless the expression names exactly one."""


class TimedLimit(Strict):
    """A limit that is another one at times of the week."""

    default: FiniteFloat
    """The limit at all other times."""
    at: Annotated[dict[TimeOfWeek, FiniteFloat], Field(min_length=1, max_length=64)]
    """Limits at times such as "mon-fri 08:00-18:00", in the time zone of the site; the first that fits applies."""


def _limit_kind(value: Any) -> str:
    return TimedLimit.__name__ if isinstance(value, dict | TimedLimit) else FIXED


FIXED: Final = "number"
Limit = Annotated[
    Annotated[FiniteFloat, Tag(FIXED)] | Annotated[TimedLimit, Tag("TimedLimit")], Discriminator(_limit_kind)
]
Deadband = Annotated[FiniteFloat, Field(gt=0)]


class LimitSpec(Strict):
    """One level of an alert: a limit or a condition, and how it ends."""

    expr: Expression | None = None
    """A condition of this level, such as flow < 0.2; then the alert has no `expr` above its levels."""

    above: Limit | None = None
    """Fires above this value."""
    below: Limit | None = None
    """Fires below this value."""
    clear: FiniteFloat | str | None = None
    """What ends the level: with a limit a value, by default the limit itself; with a condition a condition."""
    deadband: Deadband | None = None
    """With a limit by time, in place of `clear`: how far on the other side of it a value must be to clear it."""
    for_: Annotated[WaitSpec, Field(alias="for", json_schema_extra={"default": "0s"})] = Wait()
    """How long the value must stay beyond the limit, or at how many readings in a row: 30s, 3 readings."""
    at: ActiveTimes = ()
    """The times of the week at which the level is active, such as "mon-fri 22:00-06:00"; always by default."""


class LimitChange(Strict):
    """What an override changes in a level."""

    above: FiniteFloat | None = None
    """Another limit, if the rule has one above."""
    below: FiniteFloat | None = None
    """Another limit, if the rule has one below."""
    clear: FiniteFloat | None = None
    """Another value that clears it."""
    for_: Annotated[WaitSpec | None, Field(alias="for")] = None
    """Another time, or number of readings, that the value must stay beyond the limit."""


class OverrideSpec(LimitChange):
    """Other limits for some devices."""

    match: MatchSpec
    """The devices: site, device, type or any birth tag; globs; a list means one of."""
    levels: dict[LevelName, LimitChange] = Field(default_factory=dict)
    """Changes of a rule with several levels."""
    keep_firing_for: Duration | None = None
    """Another time that the alert must be clear before it resolves."""


class ConfirmSpec(Strict):
    """A command that the device must acknowledge."""

    within: Annotated[Duration, Field(gt=0)]
    """How long to wait for the device's acknowledgement."""
    retries: Annotated[int, Field(ge=0, le=10)] = 0
    """How often it is sent again without one."""


class CommandSpec(Strict):
    """A command to the device that an alert is about."""

    id: RuleName | None = None
    """Which of the rule's commands this is, in its cooldown and its history; by default its name."""
    name: RuleName
    """What the device is to do; it knows the names."""
    args: Annotated[dict[ArgumentName, Argument], Field(max_length=64), AfterValidator(_sendable)] = Field(
        default_factory=dict
    )
    """Arguments, sent as they are."""
    on: Annotated[tuple[CommandEvent, ...], Field(min_length=1)] = ("firing",)
    """The events that send it: any of these."""
    cooldown: Duration = 0
    """Minimum time between two of them, per command and level; it does not hold what ends an alert's commands."""
    expires: Annotated[Duration, Field(gt=0)] = DEFAULT_EXPIRES_MS
    """How long it may be sent and delivered: after the reading that caused it, else after the event."""
    confirm: ConfirmSpec | None = None
    """Wait for the device's acknowledgement, and send it again without one; the device's next command waits too."""


class AlertSpec(Strict):
    """An alert: a number with limits, a condition, or missing data."""

    alert: RuleName
    """The alert's name, which no other rule of any file has."""
    expr: Expression | None = None
    """A number, such as avg_over_time(temperature, 1m), or a condition, such as flow < 0.2 and pump == "on"; none if
    each of the `levels` has a condition."""
    match: MatchSpec | None = None
    """The devices: site, device, type or any birth tag; globs; a list means one of. The group's must fit, too."""
    above: Limit | None = None
    """Fires above this value of `expr`."""
    below: Limit | None = None
    """Fires below this value of `expr`."""
    clear: FiniteFloat | str | None = None
    """What ends the alert: with a limit a number, by default the limit itself; with a condition a condition."""
    deadband: Deadband | None = None
    """With a limit by time, in place of `clear`: how far on the other side of it a value must be to clear it."""
    for_: Annotated[WaitSpec, Field(alias="for", json_schema_extra={"default": "0s"})] = Wait()
    """How long it must hold before the alert fires, or at how many readings in a row: 30s, 3 readings."""
    severity: LevelName | None = None
    """Level of an alert with one limit or a condition; warning by default."""
    levels: Annotated[dict[LevelName, LimitSpec] | None, Field(min_length=1)] = None
    """Several limits, or several conditions, instead of one: the alert escalates and de-escalates."""
    keep_firing_for: Duration = 0
    """How long the alert must be clear before it resolves."""
    no_data: NoDataSpec | None = None
    """What happens when the metric stays away."""
    overrides: tuple[OverrideSpec, ...] = ()
    """Other limits for some devices; the first match applies."""
    labels: Annotated[dict[LabelName, ShortText], Field(max_length=32)] = Field(default_factory=dict)
    """Words for those who sort alerts, such as team; they may use {{ device }} and the like."""
    annotations: Annotated[dict[LabelName, ShortText], Field(max_length=16)] = Field(default_factory=dict)
    """Texts for people, such as summary; they may use {{ device }}, {{ value | round(1) }} and the like."""
    commands: tuple[CommandSpec, ...] = ()
    """Commands to the device, sent in this order."""
    at: ActiveTimes = ()
    """The times of the week at which the rule is active, such as "mon-fri 22:00-06:00", in the time zone of the site,
    else of the gateway; always by default."""
    warmup: Duration = 0
    """No evaluation until the device has been sending for this long."""
    repeat: Annotated[Duration | None, Field(gt=0)] = None
    """Repeat the notice this often while it fires; never by default."""
    notify_device: bool = True
    """Whether notices also go to the device's command topic."""
    on_change: Literal["keep", "reset"] | None = None
    """What an edit does to the rule's state; by default what rules.on_change in gateway.yaml says."""
    unit: str | None = None
    """The metric's unit: for a device whose birth has another the rule does not run."""
    by: GroupKeys | None = None
    """Evaluate the rule for each group of devices with equal values of these keys, each site, type or a birth tag, as
    in [site]: `expr` then has aggregates such as avg(temperature) or share(no_data(temperature, 1m))."""


class RecordSpec(Strict):
    """A derived metric, which is windowed, stored and forwarded like any other."""

    record: MetricName
    """The metric's name, which no device sends."""
    expr: Expression
    """Its value: a number."""
    match: MatchSpec | None = None
    """The devices: site, device, type or any birth tag; globs; a list means one of. The group's must fit, too."""
    unit: str | None = None
    """Its unit."""
    by: _By = None


def _rule_kind(value: Any) -> str:
    spec = RecordSpec if isinstance(value, dict) and "record" in value else AlertSpec
    return spec.__name__


RuleSpec = Annotated[
    Annotated[AlertSpec, Tag("AlertSpec")] | Annotated[RecordSpec, Tag("RecordSpec")],
    Discriminator(_rule_kind),
]


class MetricSpec(Strict):
    """What the rules of a group may expect of a metric."""

    lookback: Annotated[Duration, Field(gt=0)] | Literal["online"]
    """How long the metric's last value counts; `rules.lookback` in gateway.yaml by default. `online`: until the device
    goes offline, starts anew or a rule misses the metric, for devices that send it when it changes."""


class GroupSpec(Strict):
    """Rules that belong together."""

    name: GroupName
    """The group's name, which no other group of any file has."""
    match: MatchSpec | None = None
    """The devices of all rules: site, device, type or any birth tag; globs; a list means one of."""
    metrics: dict[MetricName, MetricSpec] = Field(default_factory=dict)
    """Metrics that devices send so seldom, or only when they change, that their values must count for longer."""
    rules: tuple[RuleSpec, ...]
    """Alerts and derived metrics."""


class RuleFile(Strict):
    """A file of rules."""

    version: Literal[1]
    """The form of the file; 1."""
    groups: tuple[GroupSpec, ...]
    """The rules, in groups."""
    inhibit: Annotated[tuple[InhibitSpec, ...], Field(max_length=MOST_INHIBITS)] = ()
    """Alerts that mute others while they fire: nobody is told of what only follows from something else."""


def rules_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of rule files, for editors."""
    schema = TypeAdapter(RuleFile).json_schema(by_alias=True)
    for name, model in {"RuleFile": schema, **schema["$defs"]}.items():
        properties = model.get("properties", {})
        properties.pop(UNSUPPORTED_KEYS.get(name), None)
        for described in properties.values():
            if described.get("pattern") == DURATION_PATTERN and "default" in described:
                described["default"] = format_duration(described["default"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "edge-gateway rules",
    }
