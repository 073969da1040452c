"""gateway.yaml as frozen models. Every default of the gateway lives here.

Durations are milliseconds, sizes are bytes, whatever unit the file uses.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from edge_gateway.configuration.secrets import Secret
from edge_gateway.configuration.texts import Instant, Site, Tag, Zone, url_parts
from edge_gateway.rules.files.zone_data import read_zones
from edge_gateway.rules.language.zones import Zones
from fleet_config.durations import Duration, Rate, RateSpec, Size, format_duration
from fleet_config.validation import Strict
from fleet_wire.topics import is_level

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
MIB = 1 << 20
GIB = 1 << 30

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


class GatewaySection(Strict):
    """The gateway's id, the sites it owns, and the birth tags it forwards to InfluxDB."""

    id: str = "auto"
    sites: Annotated[tuple[Site, ...], Field(min_length=1)] = ("+",)
    tags: tuple[Tag, ...] = ()
    zone: Zone | None = None
    """The time zone of `at` in rules, such as Europe/Berlin; UTC by default."""
    zones: dict[Site, Zone] = Field(default_factory=dict)
    """The time zones of sites that have another."""

    @property
    def time_zones(self) -> Zones:
        return read_zones(self.zone, self.zones)

    @field_validator("id")
    @classmethod
    def _level(cls, text: str) -> str:
        if not is_level(text):
            raise ValueError("a gateway id is 1 to 64 of A-Z a-z 0-9 _ -")
        return text


class MqttSection(Strict):
    """The broker, and how the gateway authenticates to it."""

    url: str
    allow_plain: bool = False
    user: str | None = None
    password: Secret | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    session_expiry: Duration = 7 * DAY
    keepalive: Annotated[Duration, Field(ge=SECOND, le=65_535 * SECOND)] = 30 * SECOND

    @field_validator("url")
    @classmethod
    def _address(cls, text: str) -> str:
        if "@" in text:
            raise ValueError("write user and password in 'user' and 'password', not in the address")
        parts = url_parts(text, {"mqtt", "mqtts"}, "mqtt://host:port or mqtts://host:port")
        if parts.path not in ("", "/"):
            raise ValueError("a broker's address has no path; write mqtt://host:port or mqtts://host:port")
        return text

    @model_validator(mode="after")
    def _encrypted_beyond_this_machine(self) -> MqttSection:
        if not self.tls and self.host not in LOCAL_HOSTS and not self.allow_plain:
            raise ValueError(
                f"mqtt:// to {self.host} would send readings and passwords in the clear; "
                "use mqtts://, or write allow_plain: true where the network is trusted"
            )
        return self

    @model_validator(mode="after")
    def _certificate_with_key(self) -> MqttSection:
        if (self.cert is None) != (self.key is None):
            raise ValueError("'cert' and 'key' need each other, for mutual TLS")
        return self

    @property
    def tls(self) -> bool:
        return urlsplit(self.url).scheme == "mqtts"

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or "localhost"

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or (8883 if self.tls else 1883)


class SourceSection(Strict):
    """A kind of telemetry that the gateway accepts."""

    name: Literal["native"] = "native"


class MetricSection(Strict):
    """Which values of a metric are accepted.

    `kind` makes them numbers or states (texts and bools), overriding a device's birth and first value.
    """

    kind: Literal["number", "state"] | None = None
    unit: str | None = None
    range: tuple[float, float] | None = None
    missing: tuple[float, ...] = ()
    rate: Rate | None = None
    p95: bool = False

    @field_validator("range")
    @classmethod
    def _ordered(cls, limits: tuple[float, float] | None) -> tuple[float, float] | None:
        if limits is not None and not limits[0] < limits[1]:
            raise ValueError("a range is [lowest, highest], and lowest must be less than highest")
        return limits

    @model_validator(mode="after")
    def _only_numbers_have_a_range(self) -> MetricSection:
        said = [name for name in ("range", "rate", "p95") if getattr(self, name)]
        if self.kind == "state" and (said or self.missing):
            raise ValueError(
                f"'{said[0] if said else 'missing'}' is for numbers, but 'kind: state' means texts and bools"
            )
        return self


class TimeSection(Strict):
    """How far device clocks are trusted."""

    allowed_lateness: Duration = 2 * SECOND
    idle_close: Duration = 30 * SECOND
    max_future_skew: Duration = 5 * MINUTE
    max_step_back: Duration = 5 * SECOND
    earliest: Instant = 1_577_836_800_000


class WindowSection(Strict):
    """One tier of windows: its length, its bucket, and the bucket's retention, `0s` for ever."""

    every: Duration
    bucket: Annotated[str, Field(min_length=1)]
    keep: Duration

    @field_validator("keep")
    @classmethod
    def _bucket_retention(cls, keep: int) -> int:
        if 0 < keep < HOUR:
            raise ValueError("InfluxDB keeps points for at least 1h; write a longer time, or 0s for ever")
        return keep


class RulesSection(Strict):
    """Where the rules are, and whether a changed rule keeps its state; `rules: null` for a gateway without rules."""

    path: Path | None = Path("rules")
    """The folder of the rule files, or one file, `rules` by default; null for no rules."""
    on_change: Literal["keep", "reset"] = "keep"
    lookback: Duration = 5 * MINUTE
    _is_default: bool = PrivateAttr(default=True)

    def model_post_init(self, _: object) -> None:
        self._is_default = "path" not in self.model_fields_set

    @property
    def is_default(self) -> bool:
        """Whether nothing names the path: then it need not exist."""
        return self._is_default


def _no_rules(value: object) -> object:
    return {"path": None} if value is None else value


class CommandsSection(Strict):
    """Whether and how fast commands are sent."""

    mode: Literal["live", "dry_run", "off"] = "live"
    max_reading_age: Duration = 5 * MINUTE
    per_device: Rate = RateSpec(6, MINUTE)
    total: Rate = RateSpec(50, SECOND)


class InfluxSection(Strict):
    """The database that aggregates are forwarded to, and how much may wait for it on disk."""

    url: str
    org: str
    token: Secret
    timeout: Annotated[Duration, Field(ge=SECOND)] = 30 * SECOND
    max_bytes: Size = 4 * GIB
    on_full: Literal["merge", "drop_oldest"] = "merge"

    @field_validator("url")
    @classmethod
    def _web(cls, text: str) -> str:
        if "@" in text:
            raise ValueError("write no user or password in the address; set 'token' instead")
        url_parts(text, {"http", "https"}, "http://host:8086 or https://host")
        return text.rstrip("/")


class HistorySection(Strict):
    """The local history; with `keep: 0s` only `max_bytes` bounds it."""

    keep: Duration = 30 * DAY
    max_bytes: Size = GIB


class SpoolSection(Strict):
    """The directory that holds everything acknowledged."""

    path: Path = Path("/var/lib/edge-gateway")
    max_bytes: Annotated[Size, Field(ge=16 * MIB)] = 2 * GIB
    on_full: Literal["stop", "drop_oldest"] = "stop"
    durability: Literal["power", "process"] = "power"
    commit_interval: Duration = 250


SERIES_OF_A_DEVICE = 1_000
STRINGS_OF_A_DEVICE = 500


def _share(bound: int, usual: int) -> int:
    return min(usual, max(1, bound // 4))


class LimitsSection(Strict):
    """Bounds on the gateway's memory of the fleet, and on the share of one device.

    By default a share is 1,000 series and 500 texts, but at most a quarter of the bound.
    """

    devices: Annotated[int, Field(ge=1)] = 20_000
    series: Annotated[int, Field(ge=1)] = 200_000
    strings: Annotated[int, Field(ge=16)] = 50_000
    device_series: Annotated[int, Field(ge=1)] | None = None
    device_strings: Annotated[int, Field(ge=1)] | None = None
    quarantine: Size = 100 * MIB
    retire_after: Annotated[Duration, Field(ge=HOUR)] = 30 * DAY

    @model_validator(mode="after")
    def _shares_within_bounds(self) -> LimitsSection:
        for name in ("series", "strings"):
            share, bound = getattr(self, f"device_{name}"), getattr(self, name)
            if share is not None and share > bound:
                raise ValueError(
                    f"device_{name}: {share} for one device exceeds {name}: {bound} for all of them"
                )
        return self

    @property
    def share_of_series(self) -> int:
        return self.device_series or _share(self.series, SERIES_OF_A_DEVICE)

    @property
    def share_of_strings(self) -> int:
        return self.device_strings or _share(self.strings, STRINGS_OF_A_DEVICE)


class HttpSection(Strict):
    """Where /metrics and /healthz are served; null turns them off."""

    listen: str | None = "127.0.0.1:8080"

    @model_validator(mode="before")
    @classmethod
    def _off(cls, section: object) -> object:
        return {"listen": None} if section is None else section

    @field_validator("listen")
    @classmethod
    def _local_address(cls, text: str | None) -> str | None:
        if text is None:
            return None
        parts = url_parts(f"//{text}", {""}, "host:port")
        if parts.port is None or "@" in text:
            raise ValueError("write the address to listen on as host:port")
        if parts.hostname not in LOCAL_HOSTS:
            raise ValueError(
                "metrics are served on this machine only; use 127.0.0.1, with a proxy in front for other machines"
            )
        return text


class LogSection(Strict):
    """What is logged, and in which form."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "text", "json"] = "auto"


def _not_yet(_: object) -> object:
    raise ValueError("is not supported by this version; remove it")


NotYet = Annotated[None, BeforeValidator(_not_yet), Field(exclude=True)]


def _default_windows() -> tuple[WindowSection, ...]:
    tiers = (
        (MINUTE, "telemetry", 30 * DAY),
        (10 * MINUTE, "telemetry_10m", 180 * DAY),
        (HOUR, "telemetry_1h", 2 * 365 * DAY),
    )
    return tuple(
        WindowSection.model_construct(every=every, bucket=bucket, keep=keep) for every, bucket, keep in tiers
    )


class GatewayConfig(Strict):
    """The whole of gateway.yaml; `mqtt.url` alone is required."""

    version: Literal[1] = 1
    gateway: GatewaySection = GatewaySection.model_construct()
    mqtt: MqttSection
    sources: Annotated[tuple[SourceSection, ...], Field(min_length=1, max_length=1)] = (
        SourceSection.model_construct(),
    )
    inventory: Path | None = None
    """A CSV file of the devices that are expected: id, site, type, metrics, tags. They are missed if never heard."""
    metrics: dict[str, MetricSection] = Field(default_factory=dict)
    time: TimeSection = TimeSection.model_construct()
    windows: Annotated[tuple[WindowSection, ...], Field(min_length=1, max_length=4)] = _default_windows()
    rules: Annotated[RulesSection, BeforeValidator(_no_rules, json_schema_input_type=RulesSection | None)] = (
        RulesSection.model_construct()
    )
    commands: CommandsSection = CommandsSection.model_construct()
    influx: InfluxSection | None = None
    history: HistorySection = HistorySection.model_construct()
    spool: SpoolSection = SpoolSection.model_construct()
    limits: LimitsSection = LimitsSection.model_construct()
    http: HttpSection = HttpSection.model_construct()
    log: LogSection = LogSection.model_construct()
    notices: NotYet = None
    web: NotYet = None

    @field_validator("windows")
    @classmethod
    def _nested(cls, windows: tuple[WindowSection, ...]) -> tuple[WindowSection, ...]:
        for finer, coarser in pairwise(windows):
            if coarser.every <= finer.every or coarser.every % finer.every:
                raise ValueError("each window must be a whole multiple of the one before it")
        if windows[0].every < SECOND:
            raise ValueError("the base window must be at least 1s")
        if len({window.bucket for window in windows}) != len(windows):
            raise ValueError("each window needs its own bucket: points do not carry the window's length")
        return windows

    @field_validator("windows")
    @classmethod
    def _kept_beyond_their_closing(
        cls, windows: tuple[WindowSection, ...], info: ValidationInfo
    ) -> tuple[WindowSection, ...]:
        """Points older than a bucket's retention are not sent, so such a bucket would stay empty."""
        time = info.data.get("time", TimeSection.model_construct())
        for one in windows:
            age = one.every + time.allowed_lateness + time.idle_close
            if 0 < one.keep <= age:
                raise ValueError(
                    f"the bucket '{one.bucket}' keeps {format_duration(one.keep)}, but a window of"
                    f" {format_duration(one.every)} may be {format_duration(age)} old when it closes;"
                    " keep it for longer, or 0s for ever"
                )
        return windows
