"""The gateway's report on itself, declared once.

The status message and its JSON Schema, /metrics, the `status` command and the tables of docs/operate.md are made from
it. `collect` fills it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Struct, field

from edge_gateway.status.counters import AllCounters
from edge_gateway.status.fields import BYTES, MS, flag, gauge, instant, note, total
from edge_gateway.status.problem import Gravity

State = Literal["starting", "online", "draining", "offline"]
_Positive = Annotated[int, msgspec.Meta(gt=0)]


class ReportSection(Struct, forbid_unknown_fields=True):
    """Some fields of the report that belong together."""


class WindowSettings(ReportSection):
    """A tier of windows."""

    every: Annotated[int, gauge("length of a window", MS)]
    bucket: Annotated[str, note("its bucket in InfluxDB")]
    keep: Annotated[
        _Positive | None, gauge("for how long the bucket keeps it; null: for ever", MS, least=None)
    ]


class TimeSettings(ReportSection):
    """What gateway.yaml says about time."""

    allowed_lateness: Annotated[int, gauge("how long a window stays open for late readings", MS)]
    idle_close: Annotated[int, gauge("silence of a device after which its windows close", MS)]
    max_future_skew: Annotated[int, gauge("how far ahead of the gateway a reading's time may be", MS)]
    earliest: Annotated[int, instant("readings before this time get their time of arrival")]


class MetricSettings(ReportSection):
    """What gateway.yaml says about a metric."""

    unit: Annotated[str | None, note("its unit")]
    range: Annotated[tuple[float, float] | None, note("least and greatest good value")]
    missing: Annotated[tuple[float, ...], note("codes that mean there is no value")]
    rate: Annotated[str | None, note("values a device may send, as in gateway.yaml, such as 1/s")]


class Definitions(ReportSection):
    """How each field of a window is computed, in words."""

    sum: Annotated[str, note("how the sum is computed")] = "exact, correctly rounded"
    first: Annotated[str, note("which value is the first")] = "the value of least (ts, value)"
    last: Annotated[str, note("which value is the last")] = "the value of greatest (ts, value)"
    p95: Annotated[str, note("how the 95th percentile is computed")] = (
        "nearest rank; beyond 64 values a log-bucket sketch of 1 % relative error"
    )
    quality: Annotated[str, note("how the quality is computed")] = (
        "mean of the devices' own q over the readings; 1 where a device gives none"
    )


class RuleStatus(ReportSection):
    """The rules in force, and those on disk."""

    hash: Annotated[str, note("hash of the rules in force")]
    count: Annotated[int, gauge("rules in force", metric="in_force")]
    on_disk_hash: Annotated[
        str,
        note(
            "hash of the rules on disk; differs from `hash` while what is wrong with them keeps the old ones in force"
        ),
    ]
    problems: Annotated[tuple[str, ...], note("what is wrong with the rule files")]


class AlertStatus(ReportSection):
    """The alerts of the rules."""

    firing: Annotated[int, gauge("alerts of rules that fire now; problems are alerts of their own")]
    muted: Annotated[int, gauge("of these, alerts whose notices something mutes now")]
    acknowledged: Annotated[int, gauge("of these, alerts that somebody acknowledged")]
    flapping: Annotated[int, gauge("alerts that change so often that their notices are muted")]
    silences: Annotated[int, gauge("silences in force")]


class Gap(ReportSection):
    """Messages of one boot of a device that have not arrived."""

    device: Annotated[str, note("the device")]
    boot: Annotated[int, gauge("its boot")]
    from_: Annotated[int, gauge("first missing sequence number")] = field(name="from")
    to: Annotated[int, gauge("last missing sequence number")]


class Gaps(ReportSection):
    """Messages that devices numbered and that have not arrived."""

    devices: Annotated[int, gauge("devices with messages missing")]
    messages: Annotated[int, gauge("messages missing")]
    ranges: Annotated[tuple[Gap, ...], note("the first 20; `edge-gateway devices` lists them all")]


class Fleet(ReportSection):
    """What the gateway knows of devices."""

    devices: Annotated[int, gauge("devices known now")]
    retired: Annotated[int, total("devices forgotten because they were silent for too long, ever")]
    series: Annotated[int, gauge("series (a metric of a device) known now")]
    open_readings: Annotated[int, gauge("readings in windows that are not closed yet")]
    open_windows: Annotated[int, gauge("windows of the coarser tiers that are not closed yet")]
    strings: Annotated[int, gauge("different texts of metrics that are states")]


class MessageCounts(ReportSection):
    """received = new + duplicate + not_known + quarantined. QoS 0 is counted apart and promised nothing."""

    received: Annotated[int, total("messages received: new + duplicate + not_known + quarantined")]
    new: Annotated[int, total("messages received for the first time, which counted")]
    duplicate: Annotated[int, total("messages received again, which did not count again")]
    not_known: Annotated[
        int,
        total("messages that may have counted before, which is forgotten: their values are in `sensor_late`"),
    ]
    quarantined: Annotated[int, total("messages that could not be taken; see the quarantine for the reasons")]
    qos0: Annotated[int, total("messages of QoS 0, which are promised nothing")]


class ValueCounts(ReportSection):
    """values = accepted + too_late + bad + refused; late_merged is part of accepted."""

    values: Annotated[int, total("values of new messages: accepted + too_late + bad + refused")]
    accepted: Annotated[int, gauge("values in windows; falls when a late one turns out to be too late")]
    late_merged: Annotated[
        int, gauge("accepted values merged into a stored window; falls when one turns out to be too late")
    ]
    too_late: Annotated[int, total("values whose window is neither open nor stored")]
    bad: Annotated[int, total("values that do not count, for the reasons below")]
    refused: Annotated[int, total("values above their metric's `rate`")]


class CommandStatus(ReportSection):
    """Commands to devices."""

    pending: Annotated[int, gauge("commands that wait, or are not acknowledged yet")]
    refused: Annotated[int, total("commands that failed at once because too many waited")]


class StoreStatus(ReportSection):
    """The SQLite store behind the journal."""

    applied: Annotated[int, gauge("number of the newest journal record the store has")]
    floor: Annotated[int, instant("windows that start before this time may lack readings")]
    late_pending: Annotated[int, gauge("late readings that wait to be merged")]


class ClockStatus(ReportSection):
    """How far the wall clock of the gateway's machine is believed."""

    state: Annotated[
        str,
        note(
            "`synchronised` (the kernel says so), `confirmed` (the operator or the kernel said so), `agreed` (the"
            " fleet's clocks say the same), `plausible` (nothing speaks against it), `behind` (earlier than what the"
            " journal has seen) or `outvoted` (the fleet's clocks agree on another time)"
        ),
    ]
    trusted: Annotated[bool, flag("whether it may stand for a time that a message lacks")]
    agree: Annotated[
        int,
        gauge(
            "devices whose clock says the same: while nothing makes it sure, and under `agreed` when they decided it"
        ),
    ]
    differ: Annotated[int, gauge("devices whose clocks agree on another time")]
    off: Annotated[int, gauge("how far that time is ahead of the gateway's", MS, least=None)]
    held: Annotated[int, gauge("messages that wait for the time, not acknowledged")]


class BrokerStatus(ReportSection):
    """Both connections to the broker."""

    connected: Annotated[bool, flag("whether telemetry is subscribed")]
    caught_up: Annotated[
        bool, flag("whether the broker's queue has been worked off; silence counts only then")
    ]
    lag: Annotated[int, gauge("age of the oldest delivery that is not folded yet", MS)]
    listening: Annotated[int, gauge("time spent subscribed and caught up, by which silence is measured", MS)]
    waiting: Annotated[int, gauge("deliveries that are read and not folded")]
    unacknowledged: Annotated[int, gauge("deliveries taken and not acknowledged", BYTES)]
    outgoing: Annotated[int, gauge("alerts, commands, receipts and reports that wait for the broker")]


class SpoolParts(ReportSection):
    """What shares the budget of the spool, as of the last second."""

    journal: Annotated[
        int, gauge("segments of the journal when the budget was last counted, up to a second ago", BYTES)
    ]
    checkpoints: Annotated[int, gauge("checkpoints", BYTES)]
    late: Annotated[int, gauge("late readings that wait to be merged", BYTES)]
    quarantine: Annotated[int, gauge("messages in quarantine", BYTES)]


class SpoolStatus(ReportSection):
    """The journal and what shares its budget."""

    record: Annotated[int, gauge("number of the newest journal record")]
    committed: Annotated[int, gauge("number of the newest record that is on disk")]
    journal_bytes: Annotated[int, gauge("segments of the journal at the moment of this report", BYTES)]
    checkpoint: Annotated[int, gauge("number of the record behind which the newest checkpoint stands")]
    uncommitted: Annotated[int, gauge("records that are folded and not yet on disk")]
    unstored: Annotated[int, gauge("records that are on disk and not yet in the store")]
    recovered_in_ms: Annotated[int, gauge("how long the last start took", MS, metric="recovery")]
    bytes: Annotated[
        SpoolParts, note("what shares the budget of the spool, as of the last second", metric="parts")
    ]
    max_bytes: Annotated[int, gauge("the budget, `spool.max_bytes`", BYTES)]
    reserve: Annotated[bool, flag("whether disk space is held back for a full disk")]


class Backlog(ReportSection):
    """What waits in the outbox of a sink."""

    chunks: Annotated[int, gauge("chunks of lines that wait")] = 0
    lines: Annotated[int, gauge("lines that wait")] = 0
    bytes: Annotated[
        int, gauge("room of the store that they take; blocks that the history has take none", BYTES)
    ] = 0
    oldest: Annotated[int | None, instant("when the oldest chunk was made")] = None


class SinkWork(ReportSection):
    """What a sink did since the start."""

    requests: Annotated[int, total("requests sent")] = 0
    lines: Annotated[int, total("lines accepted")] = 0
    refused_lines: Annotated[int, total("lines refused, now in quarantine")] = 0
    failures: Annotated[int, total("requests that failed and are tried again")] = 0
    problem: Annotated[str, note("what is wrong; empty while all is well")] = ""
    waiting_until: Annotated[int | None, instant("the next try, while the sink backs off")] = None


class SinkStatus(SinkWork, kw_only=True):
    """What a sink did, and what waits for it. One that is no longer configured does nothing, and may have a backlog."""

    waiting: Annotated[Backlog, note("its outbox")]


class OpenProblem(ReportSection):
    """Something an operator should know, as long as it lasts."""

    code: Annotated[str, note("a code of the table of problems")]
    text: Annotated[str, note("what is wrong, and where")]
    since: Annotated[int, instant("when it began")]
    gravity: Annotated[
        Gravity,
        note(
            "failure: /healthz answers 503. warning: a device, a rule or a limit needs attention."
            " notice: somebody else's trouble"
        ),
    ]


class GatewayStatus(ReportSection, kw_only=True, omit_defaults=True):
    """The retained message on edge/v1/<gateway>/status, and the answer of `edge-gateway status --json`."""

    v: Annotated[Literal[1], gauge("version of this format", least=None)]
    gateway: Annotated[str, note("id of the gateway")]
    version: Annotated[str, note("version of the program")]
    state: Annotated[
        State,
        note(
            "`starting`, `online`, `draining` or `offline`, which the broker says for a gateway that is gone"
        ),
    ]
    at: Annotated[int, instant("when the report was made")]
    started: Annotated[int, instant("when the gateway started")]
    nonce: Annotated[str, note("differs for every start, whatever the clocks say")]
    sites: Annotated[tuple[str, ...], note("`gateway.sites`")]
    windows: Annotated[tuple[WindowSettings, ...], note("`windows`: the tiers, the finest first")]
    forwarded_tags: Annotated[tuple[str, ...], note("`gateway.tags`")]
    time: Annotated[TimeSettings, note("`time`")]
    metrics: Annotated[dict[str, MetricSettings], note("`metrics`, by name", label="metric")]
    max_reading_age: Annotated[int, gauge("a reading older than this causes no command", MS)]
    definitions: Annotated[Definitions, note("how each field of a window is computed, in words")]
    rules: Annotated[RuleStatus, note("the rules in force, and those on disk")]
    alerts: Annotated[AlertStatus, note("the alerts of the rules")]
    gaps: Annotated[Gaps, note("messages that devices numbered and that have not arrived")]
    fleet: Annotated[Fleet, note("what is known of devices")]
    messages: Annotated[
        MessageCounts, note("received = new + duplicate + not_known + quarantined; `qos0` is apart")
    ]
    values: Annotated[
        ValueCounts, note("values = accepted + too_late + bad + refused; `late_merged` is part of accepted")
    ]
    commands: Annotated[CommandStatus, note("commands to devices")]
    counters: Annotated[AllCounters, note("events by name; one that never happened is left out")]
    clock: Annotated[ClockStatus, note("the wall clock of the gateway's machine")]
    store: Annotated[StoreStatus, note("the SQLite store behind the journal")]
    broker: Annotated[BrokerStatus, note("both connections to the broker")]
    spool: Annotated[SpoolStatus, note("the journal, and what shares its budget")]
    sinks: Annotated[dict[str, SinkStatus], note("the sinks, by name", label="sink")]
    problems: Annotated[tuple[OpenProblem, ...], note("what is wrong now, and since when")]
    left_out: Annotated[
        tuple[str, ...], note("what is emptied because the broker accepts only small packets")
    ] = field(default=())


class ShortStatus(ReportSection, kw_only=True, omit_defaults=True):
    """What fits where the broker accepts only very small packets; and the will."""

    v: Annotated[Literal[1], gauge("version of this format", least=None)]
    gateway: Annotated[str, note("id of the gateway")]
    version: Annotated[str, note("version of the program")]
    state: Annotated[State, note("as in the whole report")]
    at: Annotated[int | None, note("when the report was made, ms since 1970 UTC; the will has none")] = None
    started: Annotated[int, instant("when the gateway started")]
    nonce: Annotated[str, note("differs for every start")]
    problems: Annotated[tuple[OpenProblem, ...], note("what is wrong now, with shortened texts")] = ()
    left_out: Annotated[tuple[str, ...], note("`rest` is everything that is not here")] = ()


def as_plain(report: Struct) -> dict[str, Any]:
    """Return the report as builtin types, for MessagePack, JSON and line protocol."""
    plain: dict[str, Any] = msgspec.to_builtins(report)
    return plain


def status_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the report.

    Fields with a default are required too where they are always sent. Counters are open: a later version may count
    more.
    """
    whole, definitions = msgspec.json.schema_components(
        (GatewayStatus, ShortStatus), ref_template="#/$defs/{name}"
    )
    for section in (Definitions, SinkStatus, Backlog):
        definitions[section.__name__]["required"] = list(section.__struct_encode_fields__)
    definitions[AllCounters.__name__]["additionalProperties"] = {"type": "integer", "minimum": 0}
    return {"anyOf": list(whole), "$defs": definitions}
