"""Every problem the gateway can have. Alerts, `status`, /healthz and docs/operate.md are made from this list."""

from __future__ import annotations

from enum import Enum
from typing import Final

from edge_gateway.status.kinds_of_problem import bound, device, failure, maintenance, part, refused, warning
from edge_gateway.status.problem import Clears, Entry, Gravity, Lasts, Latches

_HOUR: Final = Lasts("an hour has passed without another one", 3_600_000)
_ALLOW: Final = "allow the gateway what the text names (ACL, quota)"
_AGAIN: Final = f"{_ALLOW}. Published again by itself, at growing intervals of at most five minutes"
_FOUND: Final = Latches("it reports what the last start found; the next start checks again")
_PAST: Final = Latches("what is lost does not come back; a restart acknowledges it")
_FILES: Final = "check the disk. Keep or delete the files set aside (`<name>.corrupt-<time>`)"
_CHECK_DISK: Final = 'Check the disk (free space, SMART, SD card); "After damage" in docs/operate.md has more'
_MAKE_ROOM: Final = (
    "check the devices or the site it names; `edge-gateway devices forget` makes room; raise the limit if the fleet is"
    " that large. For devices nobody knows, close the broker's ACL"
)
_DISK_BOUND: Final = "raise the limit (see Bounds), or fix what uses it up"


def _set_aside(what: str) -> Entry:
    raised = f"a damaged {what} was set aside"
    return failure(f"{raised} in {{}}. {_CHECK_DISK}", raised, _FOUND, _FILES)


class Problem(Enum):
    """All problems. A member's name in lower case is its code, which users know: never rename one."""

    # the broker
    BROKER = failure(
        "{}",
        "there is no connection to the broker, or it does not answer subscriptions",
        Clears("the broker has granted the subscriptions again"),
        "see the text: address, certificate, password or ACL",
    )
    SESSION_LOST = warning(
        "the broker lost this gateway's session: deliveries sent {} may be missing; devices that read receipts send"
        " them again",
        "the broker forgot what it had queued for this gateway, as after a crash, a damaged database or an absence"
        " longer than `mqtt.session_expiry`",
        Lasts("a day has passed", 24 * 3_600_000),
        "the text says from when to when deliveries may be missing. Devices that read receipts send them again; for"
        " others look for gaps in `edge-gateway devices`",
    )
    SUBSCRIPTION = failure(
        "{}",
        "the broker does not grant a subscription, so that nothing arrives through it",
        Clears("the broker grants every subscription; asked again each minute"),
        "check the ACL for the filter it names",
    )
    FOREIGN_SITE = warning(
        "deliveries arrived from sites that are not this gateway's: {}; they are in quarantine as foreign_site",
        "deliveries of sites that are not in `gateway.sites` went to quarantine",
        _HOUR,
        "see [When a site moves](deploy.md#when-a-site-moves)",
    )
    TAKEN_OVER = Entry(
        (Gravity.FAILURE, Gravity.WARNING),
        "{}",
        "another gateway uses this id. As a failure: it has the connections, and this one stands by. As a warning:"
        " somebody publishes this gateway's status, which changes nothing else",
        Clears("the other one has not been heard for 15 to 30 s, or for a minute in case of the warning"),
        "give each gateway its own `gateway.id`; check the ACL of `edge/v1/#`",
    )
    CONTROL_CONNECTION = failure(
        "the control connection keeps ending, so that alerts, commands and status wait: {}",
        "the connection for alerts, commands and status ended three times in a row; telemetry is taken",
        Clears("it has lasted for 30 s"),
        "see the text for how it ends",
    )
    REFUSED_STATUSES = refused("statuses", Gravity.FAILURE, _AGAIN)
    REFUSED_ALERTS = refused("alerts", Gravity.FAILURE, _AGAIN)
    REFUSED_COMMANDS = refused(
        "commands",
        Gravity.FAILURE,
        f"{_ALLOW}. The command is in the state `refused`, with the reason, and tried again until it expires",
    )
    REFUSED_RECEIPTS = refused("receipts", Gravity.WARNING, _ALLOW)
    REFUSED_REPLIES = refused("replies", Gravity.WARNING, _ALLOW)
    CONTROL_SUBSCRIPTIONS = Entry(
        (Gravity.WARNING, Gravity.NOTICE),
        "the broker refuses subscriptions: {}",
        "the broker refuses a subscription of the control connection. A notice if it is only the broker's own counter",
        Clears("the broker grants them; asked again at growing intervals of at most five minutes"),
        "allow what the text names. Without its `command` topic the gateway does not hear operators",
    )
    FORGED_ALERTS = warning(
        "another client publishes alerts of this gateway, on {} among others: check the ACL",
        "another client publishes on this gateway's alert topics; each is corrected, at most once a minute a topic",
        _HOUR,
        "let nobody else write `edge/v1/#`, as `field.acl` does",
    )
    ECHO = failure(
        "silent devices are not noticed, since the gateway does not hear its own message: {}",
        "the broker does not accept the gateway's message to itself, or does not deliver it",
        Clears("the gateway hears its message again and has caught up"),
        "allow the gateway to write and read the topic it names. Until then silent devices are not noticed",
    )
    PACKET_SIZE = warning(
        "{}; raise max_packet_size (1048576 is enough)",
        "the broker's `max_packet_size` is smaller than a message to be sent",
        Clears("a message of each kind that did not fit is sent whole"),
        "raise it. Until then the status says in `left_out` what it lacks, alerts come without annotations and labels,"
        " and a command that does not fit fails and says so",
    )
    NO_RETAIN = warning(
        "the broker keeps no retained messages: whoever connects later does not see births, alerts and this status; set"
        " retain_available true",
        "the broker keeps no retained messages",
        Clears("the gateway connects to a broker that keeps them"),
        "set `retain_available true`: whoever connects later does not see firing alerts, births and the status",
    )
    BROKER_DROPPED = Entry(
        (Gravity.NOTICE,),
        "the broker has dropped {}, for clients whose queue is full or who are slow: see max_queued_messages; what this"
        " gateway lacks shows as gaps of devices",
        "the broker drops messages for clients that are slow or away",
        Clears("nothing was dropped for five minutes"),
        "see `max_queued_messages` in the broker's configuration, and its other clients",
    )
    # the disk
    DISK = failure(
        "nothing is acknowledged: {}",
        "the disk is full or fails, or `spool.max_bytes` or its part for late readings is used up: deliveries wait",
        Clears("there is room again; deliveries go on by themselves"),
        "the text names the cause: free space on the disk, check it, or raise `spool.max_bytes` and restart",
    )
    SPOOL_LOST = failure(
        "the broker knows this gateway but the spool {} is new: windows in progress are partial",
        "the broker knew this gateway, but its spool is new",
        _PAST,
        "check whether `spool.path` is on a disk that lasts; `edge-gateway query partial` shows windows in progress",
    )
    SPOOL_COPY = failure(
        "the spool {} is an older copy: windows from before this start stay as they are; newer readings of them are"
        " kept apart, and what waited for InfluxDB is dropped",
        "the spool was restored from a copy, and the gateway has worked since that was made: the broker holds the"
        " status of a start that the spool does not know, or an operator said so",
        _PAST,
        "nothing, or stop the gateway and put the newest spool back; `edge-gateway query partial` and `query late` show"
        " what is kept apart",
    )
    STATE_LOST = failure(
        "the start could not restore all that {} held: windows in progress are partial, as `edge-gateway query partial`"
        f" shows. {_CHECK_DISK}",
        "the start could not bring back every record behind the last checkpoint",
        _PAST,
        "see `records_lost`, `journal_corrupt`, `checkpoint_corrupt` and `replay_differs`",
    )
    JOURNAL_CORRUPT = _set_aside("journal segment")
    CHECKPOINT_CORRUPT = _set_aside("checkpoint")
    STORE_CORRUPT = failure(
        "{}",
        "the store was damaged or missing. Stored windows are checked once after each start, so that damage shows"
        " before anybody asks for them",
        _FOUND,
        _FILES,
    )
    STORE_LOST = failure(
        "the store was damaged while in use and is made again: {}",
        "the store was found damaged while the gateway ran; it was set aside and is made again from the journal",
        _PAST,
        _FILES,
    )
    RECORDS_LOST = failure(
        "{}. Devices that read receipts send the messages again, if they still have them. " + _CHECK_DISK,
        "journal records are missing or could not be read",
        _FOUND,
        "see [After damage](#after-damage)",
    )
    REPLAY_DIFFERS = failure(
        "the journal and its replay differ: {}; windows in progress are partial",
        "the start folded a record again and other windows left, or other readings came late, than with the record",
        _FOUND,
        "the history has what the record says; `edge-gateway query partial` shows windows in progress. Report it as a"
        " defect, with the journal",
    )
    STORE_BEHIND = failure(
        "the store {} is from an earlier time than the journal: older windows stay as they are",
        "the store is older than the journal, as after a restore of one without the other",
        _FOUND,
        "restore both from the same time; `edge-gateway query late` shows late readings for older windows",
    )
    RECORDS_QUARANTINED = failure(
        "{} could not be folded; they are in quarantine",
        "a message makes the program fail",
        _FOUND,
        "see `edge-gateway query quarantine`, and report it as a defect",
    )
    RECORD_REFUSED = failure(
        "the store could not apply {}; what it led to is missing there",
        "the effects of a journal record could not be stored",
        _PAST,
        "report it as a defect, with the journal; the store goes on with the next record",
    )
    STORE_STALLED = failure(
        "the store cannot be written: {}",
        "the store cannot be written",
        Clears("a write succeeds"),
        "see the text: a full or failing disk",
    )
    DESCRIPTORS = warning(
        "{}",
        "the limit of open files is too low",
        Clears("enough files may be open"),
        "raise `LimitNOFILE` (systemd) or `ulimit -n` to 1,024 at least",
    )
    BOUND_LATE = bound("the share of `spool.max_bytes` for late readings", _DISK_BOUND)
    BOUND_SPOOL = bound("`spool.max_bytes`", _DISK_BOUND)
    BOUND_HISTORY = bound("`history.max_bytes`", _DISK_BOUND)
    BOUND_QUARANTINE = bound(
        "`limits.quarantine`",
        "fix the devices it names, which have most there, or raise the limit",
        lost="messages of many devices are dropped from it",
    )
    # the program
    STUCK = failure(
        "no progress: {}; a watchdog would restart the gateway",
        "a part makes no progress for half a minute: a disk that does not answer, or a defect",
        Clears("it makes progress again", of_process=True),
        "restart the gateway; if it happens again without a fault of the disk, report a defect",
    )
    CLOCK = failure(
        "{}",
        "the machine's clock is not synchronised, and is behind the newest journal record, or at least three devices"
        " and half of those online agree on another time",
        Clears("the clock is synchronised or confirmed, or the fleet agrees with it"),
        "see [Clocks](#clocks): set the clock, or enable time synchronisation; `edge-gateway clock confirm` where the"
        " clock is right",
    )
    SECRETS = warning(
        "{}",
        "a password, token or certificate file cannot be used; what was read before stays in use",
        Clears("the file can be used again"),
        "see the text",
    )
    RULES = failure(
        "the rules in force are kept: {}",
        "a rule file is wrong",
        Clears("the files are right"),
        "fix the file it names",
    )
    RULES_IDLE = warning(
        "{}",
        "a rule does not run on the devices it names, since their birth gives a metric another unit than the rule; or"
        " a device measures a metric that is named like a record, and its own values are kept; or devices match a rule,"
        " and for an hour of listening no reading has evaluated it since the rules were loaded or the gateway started",
        Clears(
            "the units agree; the record is renamed; a reading evaluates the rule, or the rules are loaded again"
        ),
        "fix the rule or the device: `edge-gateway rules ls` shows the rule, `rules explain RULE --device D` what it"
        " lacks on a device",
    )
    PART_CONTROL = part("the connection for alerts, commands and status")
    PART_RULES = part("watching the rule files")
    PART_CREDENTIALS = part("watching secrets and certificates")
    PART_SINK_INFLUX = part("sending to InfluxDB")
    PART_STATUS = part("publishing the status")
    PART_CHECKPOINT = part("writing checkpoints")
    PART_TRIM = part("trimming the history")
    PART_OWN_POINT = part("recording the gateway's own point")
    PART_DISK = part("watching the disk")
    PART_PROBLEMS = part("keeping problems for the next start")
    MAINTENANCE_STATUS = maintenance("publishing the status")
    MAINTENANCE_CHECKPOINT = maintenance("writing a checkpoint")
    MAINTENANCE_TRIM = maintenance("trimming the history")
    MAINTENANCE_OWN_POINT = maintenance("recording the gateway's own point")
    MAINTENANCE_DISK = maintenance("checking the disk")
    # InfluxDB
    SINK_INFLUX = failure(
        "{}",
        "InfluxDB cannot be reached or refuses to work. A bucket that is missing or read-only holds up its own lines"
        " alone",
        Clears("it accepts lines again"),
        "see the text: address, token, organisation or bucket. Nothing is lost meanwhile",
    )
    INFLUX_REFUSED = warning(
        "{}",
        "InfluxDB refused lines; they are in quarantine (`influx_refused_points`) and not in InfluxDB",
        _HOUR,
        "see the text for bucket, measurement and reason. *type conflict*: another program wrote to the bucket, or made"
        " the field another type: give the gateway a bucket of its own. *retention*: the bucket keeps less than"
        " gateway.yaml says: `edge-gateway influx apply`",
    )
    BOUND_OUTBOX = bound(
        "`influx.max_bytes`",
        "bring InfluxDB back, or raise the limit (see Bounds). What is dropped is counted in `outbox_merged_lines` and"
        " `outbox_dropped_lines`",
    )
    # devices
    DEVICES_UNHEARD = device(
        "messages of publishers lead to nothing: all in quarantine (another format, another unit of time, a name at"
        " two sites, a limit, a birth or will that cannot be read), nothing but repeats, or no birth where rules select"
        " by it",
        "the device sends a good message, or is silent for a day",
        "fix the device",
    )
    DEVICE_CLOCKS = device(
        "a device's times are not believed, so that its readings get their time of arrival; or its readings arrive"
        " older than `commands.max_reading_age` for an hour, or a month old, so that they cause no command",
        "a reading arrives with a credible time",
        "set its clock. If that cannot be done, send no `ts`, or raise `time.earliest` above its times: its readings"
        " get their time of arrival then. This is not done unasked, because an old buffer would look like now",
    )
    DEVICE_NUMBERING = device(
        "a birth or a message skips more than a million numbers: it is not believed, and nothing counts as missing",
        "a birth or message continues from a credible number",
        "check how the device makes `seq` and `next`",
    )
    DEVICE_CONFLICTS = device(
        "a device uses numbers of its boot again for other readings, and no birth says that it was erased: these"
        " messages are in quarantine as `sequence_conflict`",
        "the device starts a new boot, or sends a birth whose `next` says from where it counts, and goes on from there;"
        " or after `edge-gateway devices forget`",
        "it must send a new boot at each start; if two devices use one name, give each its own",
    )
    BIRTHS_CUT = device(
        "a birth is longer than what is kept of one (see Bounds)",
        "a shorter birth arrives",
        "shorten the birth",
    )
    DEVICE_UNITS = device(
        "the birth of a device gives a metric another unit than `metrics` in gateway.yaml. Its values are taken as they"
        " are: nothing is converted",
        "the units agree",
        "correct the unit in gateway.yaml and restart the gateway, or in the device",
    )
    BAD_VALUES = device(
        "more than half of the last 64 to 128 values of a device are bad; metric and reason are those of the newest",
        "fewer of its newest values are bad",
        "`type`: see *Numbers and texts*; `range`, `missing`: check the sensor",
    )
    DEVICE_SHARES = device(
        "a device has used up its own share of series or texts, and loses what is new",
        "it has room again for five minutes",
        "check what it sends; raise `limits.device_series` or `device_strings` if it is right",
    )
    LATE_SHARE = device(
        "a device sends late readings faster than they are merged",
        "it has been below four fifths of its share for five minutes",
        "check whether it sends its newest readings first, or has a wrong clock",
    )
    BOUND_DEVICES = bound("`limits.devices`", _MAKE_ROOM, lost="messages of further devices go to quarantine")
    BOUND_SERIES = bound("`limits.series`", _MAKE_ROOM, lost="values of further metrics are lost")
    BOUND_STRINGS = bound("`limits.strings`", _MAKE_ROOM, lost="values that are new texts are lost")
    BOUND_COMMANDS = bound(
        "the 10,000 commands that may wait",
        "check that the devices it names acknowledge commands",
        lost="further commands fail at once",
    )

    def __init__(self, entry: Entry) -> None:
        self.entry = entry

    @property
    def code(self) -> str:
        """What the wire, the CLI and the documentation call it."""
        return self.name.lower()

    @classmethod
    def of(cls, code: str) -> Problem:
        """Return the problem of a code; ValueError where there is none."""
        try:
            return cls[code.upper()]
        except KeyError:
            raise ValueError(f"no problem has the code {code!r}") from None
