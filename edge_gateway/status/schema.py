"""The shape of the gateway's report on itself, for those who read its status topic; report.py fills it.

Times are wall milliseconds since 1970 UTC unless they are named as lengths; lengths are milliseconds, sizes bytes.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from fleet_config.yaml_source import Strict

Count = Annotated[int, Field(ge=0)]


class Window(Strict):
    every: Count
    bucket: str
    keep: Count | None
    """null: for ever"""


class Time(Strict):
    allowed_lateness: Count
    idle_close: Count
    max_future_skew: Count
    earliest: int


class Metric(Strict):
    unit: str | None
    range: tuple[float, float] | None
    missing: tuple[float, ...]
    rate: str | None
    """as in gateway.yaml, such as 1/s"""


class Definitions(Strict):
    """How each field of a window is computed, in words."""

    sum: str
    first: str
    last: str
    p95: str
    quality: str


class Rules(Strict):
    hash: str
    """of the rules in force"""
    count: Count
    on_disk_hash: str
    """of the files; another than `hash` while a broken file keeps the old rules in force"""
    problems: tuple[str, ...]


class Alerts(Strict):
    firing: Count


class Gap(Strict):
    """Messages `from` to `to` of a device's boot, both ends in, that have not come."""

    device: str
    boot: Count
    from_: Annotated[Count, Field(alias="from")]
    to: Count


class Gaps(Strict):
    devices: Count
    messages: Count
    ranges: tuple[Gap, ...]
    """the first ones; `edge-gateway devices` lists them all"""


class Fleet(Strict):
    devices: Count
    retired: Count
    """devices forgotten because they were silent for too long, ever"""
    series: Count
    open_readings: Count
    """readings in windows that are not closed yet"""
    open_windows: Count
    """windows of the coarser tiers that are not closed yet"""
    strings: Count
    """different texts of metrics that are states"""


class Messages(Strict):
    """received = new + duplicate + quarantined; QoS 0 is counted apart and promised nothing."""

    received: Count
    new: Count
    duplicate: Count
    quarantined: Count
    qos0: Count


class Values(Strict):
    """values = accepted + too_late + bad + refused; late_merged is part of accepted."""

    values: Count
    accepted: Count
    late_merged: Count
    too_late: Count
    bad: Count
    refused: Count


class Commands(Strict):
    pending: Count
    refused: Count


class Store(Strict):
    applied: Count
    """number of the newest journal record the store knows"""
    floor: int
    """windows that start before this time may lack readings"""
    late_pending: Count


class Broker(Strict):
    connected: bool
    caught_up: bool
    lag: Count
    """length: how old the oldest delivery is that is not folded yet"""
    listening: Count
    """length: time spent subscribed and caught up, on which silence is measured"""
    waiting: Count
    """deliveries that are read and not folded"""
    unacknowledged: Count
    """bytes"""
    outgoing: Count
    """alerts, commands, receipts and reports that wait for the broker"""


class SpoolBytes(Strict):
    """What the parts of the spool take that share its budget."""

    journal: Count
    checkpoints: Count
    late: Count
    quarantine: Count


class Spool(Strict):
    record: Count
    """number of the newest journal record"""
    committed: Count
    """number of the newest record that is on disk"""
    journal_bytes: Count
    checkpoint: Count
    """number of the record that the newest checkpoint stands behind"""
    uncommitted: Count
    """records that are folded and not yet on disk"""
    unstored: Count
    """records that are committed and not yet in the store"""
    recovered_in_ms: Count
    bytes: SpoolBytes
    """as of the last second"""
    max_bytes: Count
    reserve: bool
    """whether disk space is held back for a full disk"""


class Waiting(Strict):
    """The outbox of a sink."""

    chunks: Count
    lines: Count
    bytes: Count
    oldest: int | None


class Sink(Strict):
    """What waits for a sink, and what it did since the start; a sink that is no longer configured only waits."""

    waiting: Waiting
    requests: Count = 0
    lines: Count = 0
    refused_lines: Count = 0
    failures: Count = 0
    problem: str = ""
    """what is wrong, empty while all is well"""
    waiting_until: Count | None = None
    """of the next try, while the sink backs off"""


class Problem(Strict):
    """Something an operator should know, as long as it lasts."""

    code: str
    text: str
    since: int
    gravity: Literal["failure", "warning", "notice"]
    """failure: /healthz answers 503. warning: a device, rule or bound needs a hand. notice: somebody else's trouble"""


class GatewayStatus(Strict):
    """The retained message on edge/v1/<gateway>/status, and the answer of `edge-gateway status --json`."""

    v: Literal[1]
    gateway: str
    version: str
    state: Literal["starting", "online", "draining", "offline"]
    at: int
    started: int
    nonce: str
    """of this start: no two starts have the same, whatever their clocks say"""
    sites: tuple[str, ...]
    windows: tuple[Window, ...]
    forwarded_tags: tuple[str, ...]
    time: Time
    metrics: dict[str, Metric]
    max_reading_age: Count
    definitions: Definitions
    rules: Rules
    alerts: Alerts
    gaps: Gaps
    fleet: Fleet
    messages: Messages
    values: Values
    commands: Commands
    counters: dict[str, Count]
    store: Store
    broker: Broker
    spool: Spool
    sinks: dict[str, Sink]
    problems: tuple[Problem, ...]
    left_out: tuple[str, ...] = ()
    """what is emptied because the broker takes only small packets"""


class ShortStatus(Strict):
    """What is left where the broker takes so small packets that the report has no room; and the will."""

    v: Literal[1]
    gateway: str
    version: str
    state: Literal["starting", "online", "draining", "offline"]
    at: int | None = None
    started: int
    nonce: str
    problems: tuple[Problem, ...] = ()
    left_out: tuple[str, ...] = ()
    """`rest` is everything that is not here"""


def status_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the report."""
    return TypeAdapter(GatewayStatus | ShortStatus).json_schema()
