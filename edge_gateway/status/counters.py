"""Every event the gateway counts. What is not declared here cannot be counted: `counters.NAME += 1` is all there is."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from edge_gateway.status.fields import total


class Counters(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What the running program counts, since its start. A counter of zero is left out of the report."""

    broker_connections_lost: Annotated[
        int, total("telemetry connections that the broker had accepted and that ended")
    ] = 0
    broker_sessions_lost: Annotated[int, total("sessions the broker forgot, with what it had queued")] = 0
    control_connections_lost: Annotated[
        int, total("connections for alerts, commands and status that the broker had accepted and that ended")
    ] = 0
    replay_differs: Annotated[
        int, total("journal records with which other windows left at the start than they say")
    ] = 0
    reading_paused: Annotated[int, total("times reading stopped because too much was not acknowledged")] = 0
    folding_paused: Annotated[int, total("times folding stopped because journal or store were behind")] = 0
    commits_stalled: Annotated[int, total("times the journal could not be written")] = 0
    reserve_released: Annotated[int, total("times the disk was full and the reserve was released")] = 0
    journal_lent: Annotated[int, total("times a full journal was lent room for a checkpoint")] = 0
    late_table_full: Annotated[int, total("times deliveries waited for late readings to be merged")] = 0
    records_dropped: Annotated[int, total("journal records that `spool.on_full: drop_oldest` dropped")] = 0
    rule_reloads: Annotated[int, total("rule sets that came into force")] = 0
    rule_reloads_refused: Annotated[
        int, total("rule files that were wrong, so that the rules in force stayed")
    ] = 0
    outgoing_dropped: Annotated[int, total("messages for the broker that found no room in the queue")] = 0
    commands_expired_in_queue: Annotated[
        int, total("commands that expired before the broker could take them")
    ] = 0
    too_large: Annotated[int, total("messages larger than the broker accepts, even when shortened")] = 0
    refused_statuses: Annotated[int, total("statuses the broker refused")] = 0
    refused_alerts: Annotated[int, total("alerts the broker refused")] = 0
    refused_commands: Annotated[int, total("commands the broker refused")] = 0
    refused_receipts: Annotated[int, total("receipts the broker refused")] = 0
    refused_replies: Annotated[int, total("replies to operators the broker refused")] = 0
    broker_dropped: Annotated[int, total("messages the broker dropped, for any client")] = 0
    taken_over: Annotated[int, total("times another gateway took this id's connections")] = 0
    alerts_overwritten: Annotated[int, total("alerts another client wrote over, corrected")] = 0
    operator_requests_malformed: Annotated[
        int, total("requests on the command topic that cannot be read")
    ] = 0
    operator_requests_retained: Annotated[
        int, total("retained requests, never obeyed: they would come again with each connection")
    ] = 0
    http_connections_refused: Annotated[int, total("connections closed because 16 were open")] = 0


class AllCounters(Counters, omit_defaults=True):
    """The counters of the report: those above, and these, which are kept with the spool and survive a restart."""

    log_lines_left_out: Annotated[
        int, total("log lines left out as repeats or in a flood, since the start")
    ] = 0
    refused_bad_topic: Annotated[int, total("messages on a topic that is not a device's")] = 0
    refused_wrong_site: Annotated[int, total("messages of a device at a site that is not its own")] = 0
    refused_foreign_site: Annotated[int, total("messages of sites that are not in `gateway.sites`")] = 0
    refused_too_many_devices: Annotated[int, total("messages of devices beyond `limits.devices`")] = 0
    refused_too_many_series: Annotated[int, total("values of series beyond a limit")] = 0
    refused_too_many_texts: Annotated[int, total("values that were texts beyond a limit")] = 0
    lost_at_device: Annotated[int, total("messages that devices say they lost themselves")] = 0
    given_up: Annotated[int, total("missing messages that are no longer waited for")] = 0
    clock_steps: Annotated[
        int,
        total(
            "times the clock of a device went back by more than `time.max_step_back`, believed and followed, "
            "or the gateway's was set, which stamps its readings"
        ),
    ] = 0
    small_clock_steps: Annotated[
        int,
        total(
            "messages at most `time.max_step_back` older than their device's newest, at whose time rules take them"
        ),
    ] = 0
    messages_of_other_boots: Annotated[
        int, total("messages of a boot that is not their device's current one, which rules leave out")
    ] = 0
    boots_forgotten: Annotated[int, total("boots of a device beyond the eight that are remembered")] = 0
    boots_begun_anew: Annotated[
        int,
        total(
            "boots that began anew, because a birth and the messages after it say that the device was erased"
        ),
    ] = 0
    tombstones_dropped: Annotated[
        int, total("boots without times beyond the 64 of a device of which the last number is remembered")
    ] = 0
    values_not_known: Annotated[int, total("values of messages that are not known, counted nowhere")] = 0
    sequence_not_believed: Annotated[int, total("sequence numbers more than a million ahead")] = 0
    births_cut: Annotated[int, total("births longer than what is kept of one")] = 0
    label_changes_refused: Annotated[
        int, total("changes of a device's type or tags beyond its allowance")
    ] = 0
    publishers_left_out: Annotated[int, total("publishers in trouble beyond those that can be named")] = 0
    late_over_share: Annotated[int, total("late readings beyond their device's share, merged nowhere")] = 0
    quarantined: Annotated[int, total("messages and lines put in quarantine")] = 0
    quarantine_dropped: Annotated[int, total("messages dropped from a full quarantine")] = 0
    alerts_dropped: Annotated[int, total("alert transitions dropped from the history beyond 200,000")] = 0
    commands_dropped: Annotated[int, total("commands dropped from the history beyond 100,000")] = 0
    apart_dropped: Annotated[
        int,
        total("parts of windows and readings that no window takes dropped from the history beyond 100,000"),
    ] = 0
    partial_windows: Annotated[int, total("windows stored apart because readings may be missing")] = 0
    windows_refused: Annotated[
        int,
        total("windows stored apart because an earlier part of them may have left the history"),
    ] = 0
    unnamed_readings: Annotated[
        int,
        total(
            "closed windows and late readings that are stored nowhere, since a lost journal record named their series; "
            "what other records hold of such windows goes to `sensor_partial`"
        ),
    ] = 0
    late_merged: Annotated[int, total("late readings merged into stored windows")] = 0
    late_too_late: Annotated[int, total("late readings without a stored window to merge into")] = 0
    points_beyond_retention: Annotated[
        int, total("points not sent because their bucket no longer keeps them")
    ] = 0
    outbox_sent_lines: Annotated[int, total("lines a sink accepted")] = 0
    outbox_superseded_lines: Annotated[
        int, total("lines corrected while they waited, so that they were not sent")
    ] = 0
    outbox_merged_lines: Annotated[
        int,
        total(
            "lines of windows dropped from a full outbox, which coarser ones cover unless these are dropped later"
        ),
    ] = 0
    outbox_dropped_lines: Annotated[
        int, total("lines dropped from a full outbox that nothing else covers")
    ] = 0
    outbox_dropped_unconfigured: Annotated[
        int, total("lines dropped because their sink is no longer configured")
    ] = 0
    outbox_dropped_old: Annotated[
        int, total("lines dropped because the spool was restored from a copy: they waited when it was made")
    ] = 0
    corrections_repeated: Annotated[
        int,
        total(
            "corrected points sent again, because a write without an answer may have come after them, or because"
            " a full outbox had dropped them"
        ),
    ] = 0
    corrections_not_repeated: Annotated[
        int, total("corrected points beyond the 200,000 that are remembered for that")
    ] = 0
    influx_refused_points: Annotated[int, total("lines InfluxDB refused, now in quarantine")] = 0
    history_trimmed: Annotated[int, total("windows removed from the history, by age or size")] = 0
    series_forgotten: Annotated[int, total("names of series removed after their last window")] = 0
    salvaged_rows: Annotated[int, total("rows brought back from a damaged store")] = 0
    salvage_unreadable: Annotated[int, total("rows of a damaged store that could not be read")] = 0
