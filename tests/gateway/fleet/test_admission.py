import numpy as np

from edge_gateway.fleet.accounting import COUNTED
from edge_gateway.fleet.decoders.bad_values import BadReason
from edge_gateway.fleet.limits import RegistryLimits
from edge_gateway.records.inputs import Batch, Moment
from fleet_wire.control_messages import Birth
from fleet_wire.payload import MAX_TIME
from fleet_wire.topics import TELEMETRY, device_topic
from tests.gateway.fleet.deliveries import DAY, T, balanced, batch, fresh, message, topic


class TestFrame:
    def test_rows_are_samples_and_values_point_at_them(self) -> None:
        admission = fresh()
        payloads = [
            message(0, {"t": 1.5, "door": True}, s=[(10, {"t": 2.5})]),
            message(1, {"u": 3.5}, q={"u": 0.7}, ts=T - DAY),
        ]
        frame = admission.admit(batch(*payloads)).frame
        assert frame.arrival == T
        assert frame.device.tolist() == [0, 0, 0]
        assert frame.boot.tolist() == [3, 3, 3]
        assert frame.seq.tolist() == [0, 0, 1]
        assert frame.ts.tolist() == [T, T + 10, T - DAY]
        assert frame.backlog.tolist() == [False, False, True]
        assert frame.row.tolist() == [0, 1, 2]
        assert frame.value.tolist() == [1.5, 2.5, 3.5]
        assert frame.quality.tolist() == [1000, 1000, 700]
        assert frame.state_row.tolist() == [0]
        assert [admission.registry.strings.text(code) for code in frame.state_code] == ["true"]

    def test_positions_name_the_telemetry_among_other_deliveries(self) -> None:
        given = batch(b"birth", b"junk", message(), topics=["x/status", topic(), topic()], qos0=[2])
        admission = fresh()
        admitted = admission.admit(given, [1, 2])
        assert [one.position for one in admitted.quarantined] == [1]
        assert admitted.frame.rows == 1
        assert balanced(admission)["qos0"] == 1

    def test_an_empty_batch_is_an_empty_frame(self) -> None:
        admission = fresh()
        frame = admission.admit(batch(), []).frame
        assert (frame.rows, len(frame.row), frame.arrival) == (0, 0, T)


class TestFates:
    def test_duplicates_conflicts_and_malformed_messages_make_up_what_was_received(self) -> None:
        admission = fresh()
        admission.admit(batch(message(0), message(1, ts=T + 1)))
        admitted = admission.admit(
            batch(message(1, ts=T + 1), message(0, ts=T + 9), b"\xc1", message(2, ts=T + 2), wall=T + 2)
        )
        assert admitted.quarantined[0] == (1, "sequence_conflict")
        assert [one.position for one in admitted.quarantined] == [1, 2]
        assert admitted.frame.seq.tolist() == [2]
        assert balanced(admission) == {
            "received": 6,
            "new": 3,
            "duplicate": 1,
            "quarantined": 2,
            "conflicts": 1,
            "values": 3,
            "accepted": 3,
        }

    def test_a_quarantined_message_counts_as_stored_and_its_repeat_as_duplicate(self) -> None:
        admission = fresh()
        admission.admit(batch(message(0)))
        too_far = message(1, ts=MAX_TIME - 1, s=[(2, {"t": 1.0})])
        (quarantined,) = admission.admit(batch(too_far, message(2))).quarantined
        assert "2100" in quarantined.reason
        assert admission.admit(batch(too_far)).quarantined == []
        assert admission.sequences.gaps(0) == []
        assert balanced(admission)["duplicate"] == 1

    def test_messages_of_no_device_are_counted_for_the_fleet(self) -> None:
        admission = fresh()
        admission.admit(batch(message(), message(), topics=[topic(), topic(site="elsewhere")]))
        assert balanced(admission)["quarantined"] == 1
        assert admission.accounting.of(0)["received"] == 1

    def test_bad_values_are_counted_by_device_metric_and_reason(self) -> None:
        admission = fresh()
        values = {"temperature": 99.0, "ph": 7.0, "Bad": 1.0, "u": float("nan"), "t": 1.0}
        admission.admit(batch(message(0, values), message(1, {"ph": 7.0})))
        admission.admit(batch(message(0, values)))
        names = admission.registry.metric_names
        assert {
            (names[metric] if metric >= 0 else "", reason, count)
            for _, metric, reason, count in admission.accounting.bad(0)
        } == {
            ("temperature", BadReason.RANGE, 1),
            ("", BadReason.NAME, 1),
            ("u", BadReason.NOT_FINITE, 1),
            ("ph", BadReason.RATE, 1),
        }
        counted = balanced(admission)
        assert (counted["values"], counted["accepted"], counted["bad"], counted["refused"]) == (6, 2, 3, 1)

    def test_late_values_move_from_accepted(self) -> None:
        admission = fresh()
        admission.admit(batch(message(0, {"a": 1.0, "b": 1.0, "c": 1.0})))
        admission.accounting.late_merged(np.array([0]))
        admission.accounting.too_late(np.array([0, 0]))
        counted = balanced(admission)
        assert (counted["accepted"], counted["late_merged"], counted["too_late"]) == (1, 1, 2)

    def test_a_floor_in_a_message_is_applied_after_its_batch_and_never_above_it(self) -> None:
        admission = fresh()
        admission.admit(batch(message(5, floor=4), message(3), message(4)))
        assert admission.sequences.gaps(0) == []
        assert admission.sequences.counters(0)["lost_at_device"] == 3
        admission.admit(batch(message(6, floor=2**62)))
        assert len(admission.admit(batch(message(7))).frame.seq) == 1


class TestTime:
    def test_times_nobody_can_believe_become_the_arrival(self) -> None:
        admission = fresh()
        times = [None, 0, T + 300_001, T + 300_000, T - DAY]
        admitted = admission.admit(batch(*(message(seq, ts=ts) for seq, ts in enumerate(times))))
        assert admitted.frame.ts.tolist() == [T, T, T, T + 300_000, T - DAY]
        assert admitted.stamped.tolist() == [True, True, True, False, False]
        assert balanced(admission)["stamped"] == 3

    def test_without_a_trusted_clock_nothing_is_too_far_ahead_and_stamps_wait(self) -> None:
        admission = fresh()
        payloads = [
            message(0, ts=T + DAY),
            message(1, ts=None),
            message(2, ts=0, s=[(1, {"t": 1.0})]),
            message(3),
        ]
        admitted = admission.admit(batch(*payloads, trusted=False), [0, 1, 2, 3])
        assert admitted.needy is not None
        assert admitted.needy.held == [1, 2]
        assert admitted.frame.seq.tolist() == [0, 3]
        assert balanced(admission)["received"] == 2
        again = admission.admit(batch(payloads[1], payloads[2], wall=T + 5))
        assert again.frame.seq.tolist() == [1, 2, 2]
        assert again.frame.ts.tolist() == [T + 5] * 3
        assert admission.sequences.gaps(0) == []

    def test_more_than_may_wait_go_to_the_quarantine_and_count_as_stored(self) -> None:
        admission = fresh()
        payloads = [message(seq, ts=None) for seq in range(4)] + [message(4)]
        admitted = admission.admit(batch(*payloads, trusted=False, may_hold=2))
        assert admitted.needy is not None
        assert admitted.needy.held == [0, 1]
        assert admitted.quarantined == [(2, "no_time"), (3, "no_time")]
        assert admitted.frame.seq.tolist() == [4]
        assert {name: balanced(admission)[name] for name in ("received", "new", "quarantined")} == {
            "received": 3,
            "new": 1,
            "quarantined": 2,
        }
        admission.admit(batch(*payloads[:2], wall=T + 5))
        assert admission.sequences.gaps(0) == []
        again = admission.admit(batch(*payloads[2:4], again=[0, 1], wall=T + 9))
        assert again.frame.ts.tolist() == [T + 9] * 2

    def test_what_comes_out_of_the_quarantine_keeps_its_arrival_which_is_no_step_of_the_clock(self) -> None:
        admission = fresh()
        admission.admit(batch(message(0, ts=None), wall=T + DAY))
        again = admission.admit(batch(message(1, ts=None), again=[0], wall=T))
        assert again.frame.ts.tolist() == [T]
        assert [lap.stepped.tolist() for lap in again.laps] == [[]]
        assert admission.describe(0)["counters"]["clock_steps"] == 0

    def test_while_the_fleet_votes_messages_that_need_the_time_wait_and_the_others_go_on(self) -> None:
        admission = fresh()
        for device in range(6):
            number = admission.registry.device("site", f"device-{device}")
            assert isinstance(number, int)
            admission.registry.presence.born(number)
        unsure = Moment(T, 0, trusted=True, least=T - DAY)
        topics = [topic(device) for device in (1, 2, 3)]
        payloads = [message(0, ts=T + DAY), message(0, ts=None), message(0)]
        admitted = admission.admit(Batch(unsure, topics, payloads))
        assert admitted.needy is not None
        assert admitted.needy.held == [0, 1]
        assert admitted.frame.ts.tolist() == [T]
        admitted = admission.admit(Batch(unsure, topics, payloads, may_hold=0))
        assert admitted.quarantined == [(1, "no_time")]
        assert admitted.frame.ts.tolist() == [T + DAY]

    def test_one_device_that_the_others_outvote_is_stamped(self) -> None:
        admission = fresh()
        unsure = Moment(T, 0, trusted=True, least=T - DAY)
        topics = [topic(device) for device in (1, 2, 3, 4)]
        payloads = [message(0), message(0), message(0), message(0, ts=T + DAY)]
        admitted = admission.admit(Batch(unsure, topics, payloads))
        assert (admitted.needy, admitted.frame.ts.tolist()) == (None, [T] * 4)

    def test_a_message_without_a_time_waits_for_the_first_vote_on_a_clock_but_is_not_refused(self) -> None:
        admission = fresh()
        for device in range(4):
            number = admission.registry.device("site", f"device-{device}")
            assert isinstance(number, int)
            admission.registry.presence.born(number)
        unsure = Moment(T, 0, trusted=True, least=T - DAY)
        clockless = [message(seq, ts=None) for seq in range(4)]
        admitted = admission.admit(Batch(unsure, [topic(3)] * 2, clockless[:2], may_hold=1))
        assert admitted.needy is not None
        assert (admitted.needy.held, admitted.quarantined) == ([0], [])
        assert admission.votes(unsure)
        admitted = admission.admit(Batch(unsure, [topic(3)], clockless[2:3], may_hold=0))
        assert (admitted.needy, admitted.frame.ts.tolist()) == (None, [T])
        assert not admission.votes(unsure)

    def test_a_stamped_duplicate_is_no_conflict(self) -> None:
        admission = fresh()
        admission.admit(batch(message(0, ts=None), message(1, ts=10)))
        assert admission.admit(batch(message(0, ts=None), message(1, ts=10), wall=T + DAY)).quarantined == []

    def test_the_newest_sample_of_a_message_is_its_time(self) -> None:
        admission = fresh()
        batched = message(0, s=[(5_000, {"t": 1.0})])
        admission.admit(batch(batched))
        assert admission.admit(batch(message(1, ts=T + 4_000))).frame.at.tolist() == [T + 5_000]
        assert admission.admit(batch(batched)).quarantined == []

    def test_a_clock_step_cuts_the_frame(self) -> None:
        admission = fresh()
        admission.admit(batch(message(0, boot=2)))
        admission.birth(0, Birth(type="pump", boot=3, ts=T - DAY))
        before, after = admission.admit(batch(message(1, boot=2), message(0, ts=T - DAY))).laps
        assert (before.frame.boot.tolist(), before.stepped.tolist()) == ([2], [])
        assert (after.frame.boot.tolist(), after.stepped.tolist()) == ([3], [0])
        assert after.back_to.tolist() == [T - DAY]

    def test_a_message_that_steps_says_its_oldest_and_its_newest_time(self) -> None:
        admission = fresh()
        admission.admit(batch(message(0, boot=2)))
        admission.birth(0, Birth(type="pump", boot=3, ts=T - DAY))
        batched = message(0, ts=T - DAY, s=[(5_000, {"t": 1.0})])
        _, after = admission.admit(batch(message(1, boot=2), batched)).laps
        assert (after.back_to.tolist(), after.oldest.tolist()) == ([T - DAY + 5_000], [T - DAY])

    def test_a_refused_message_that_has_the_time_of_a_clock_nobody_trusts_moves_no_clock(self) -> None:
        admission = fresh()
        admission.admit(batch(message(0)))
        refused = admission.admit(batch(message(1, ts=None), wall=T + DAY, trusted=False, may_hold=0))
        assert refused.quarantined == [(0, "no_time")]
        assert admission.admit(batch(message(2, ts=T + 1))).frame.at.tolist() == [T + 1]
        assert int(admission.clocks.newest[0]) == T + 1

    def test_messages_replayed_out_of_quarantine_are_no_clock_step(self) -> None:
        admission = fresh()
        old = [message(seq, ts=T - DAY + seq) for seq in range(4)]
        admission.admit(batch(*old, message(4)))
        for listening, payload in enumerate(old):
            again = Batch(Moment(T, 1_000 * listening), [topic()], [payload], again=[0])
            assert admission.admit(again).frame.rows == 1
        assert admission.describe(0)["counters"]["clock_steps"] == 0


class TestBirths:
    def test_a_birth_opens_the_tail_and_a_receipt_names_it(self) -> None:
        admission = fresh()
        admission.admit(batch(message(0)))
        admission.birth(0, Birth(type="pump", boot=3, next=3))
        assert admission.receipts_due(0) == [(0, 3, (0, 2, [(1, 2)]))]

    def test_a_birth_from_before_all_plausible_times_announces_no_step(self) -> None:
        admission = fresh()
        admission.admit(batch(message(0)))
        admission.birth(0, Birth(type="pump", boot=4, ts=1))
        admission.admit(batch(message(0, boot=4, ts=T - DAY)))
        assert admission.describe(0)["counters"]["clock_steps"] == 0

    def test_a_device_is_described_for_people(self) -> None:
        admission = fresh()
        admission.admit(batch(message(2, {"temperature": 99.0})))
        told = admission.describe(0)
        assert (told["device"], told["site"], told["type"]) == ("device-1", "site", "unknown")
        assert (told["boot"], told["top_seq"], told["gaps"]) == (3, 2, [(3, 0, 1)])
        assert told["bad"] == {"temperature: range": 1}
        assert told["counters"]["received"] == 1
        assert (told["online"], told["last_seen"]) == (None, T)

    def test_what_a_retired_device_counted_stays_in_the_totals(self) -> None:
        admission = fresh()
        admission.admit(batch(message(2, {"temperature": 99.0})))
        admission.retire(np.array([0]))
        told = admission.describe(0)
        assert (told["boot"], told["counters"]["received"], told["bad"]) == (None, 0, {})
        assert admission.admit(batch(message(3, ts=T + 1), wall=T + 1)).frame.device.tolist() == [0]
        assert balanced(admission)["received"] == 2
        assert admission.describe(0)["counters"]["received"] == 1
        assert admission.accounting.totals()["bad"] == 1


def test_every_counter_is_named_once() -> None:
    assert len(set(COUNTED)) == len(COUNTED)


def test_messages_replayed_out_of_quarantine_are_new_once_more() -> None:
    admission = fresh()
    admission.admit(batch(message(0), message(1)))
    admitted = admission.admit(batch(message(0), message(1), again=[1]))
    assert admitted.frame.seq.tolist() == [1]
    assert (balanced(admission)["new"], balanced(admission)["duplicate"]) == (3, 1)


class TestForgottenMarks:
    def test_what_a_retired_device_sends_again_is_not_known_and_what_it_sends_next_is_new(self) -> None:
        admission = fresh()
        first = [message(seq, ts=T + seq, m={"t": 1.0, "door": True, "Bad": 1}) for seq in range(10)]
        admission.admit(batch(*first, wall=T + 9))
        admission.retire(np.array([0]))
        again = admission.admit(batch(*first[7:], message(10, ts=T + 10), wall=T + 10))
        assert again.frame.seq.tolist() == [10]
        assert again.not_known is not None
        assert again.not_known.seq.tolist() == [7, 8, 9]
        counted = balanced(admission)
        assert (counted["new"], counted["not_known"], counted["values_not_known"]) == (11, 3, 9)
        assert "duplicate" not in counted

    def test_of_ten_boots_sent_twice_each_message_counts_once(self) -> None:
        admission = fresh()
        everything = [
            message(seq, boot=boot, ts=T + 10 * boot + seq) for boot in range(10) for seq in range(5)
        ]
        for _ in range(2):
            admission.admit(batch(*everything, wall=T + 100))
        counted = balanced(admission)
        assert (counted["new"], counted["not_known"], counted["received"]) == (50, 50, 100)

    def test_no_receipt_says_stored_of_what_is_not(self) -> None:
        admission = fresh()
        seqs = [*range(0, 200, 2), *range(1, 200, 2)]
        admitted = admission.admit(batch(*(message(seq, ts=T + seq) for seq in seqs), wall=T + 200))
        stored = set(admitted.frame.seq.tolist())
        ((_, _, told),) = admission.receipts_due(0)
        missing = {seq for first, last in told.missing for seq in range(first, last + 1)}
        assert set(range(told.since, told.upto + 1)) - missing <= stored
        assert balanced(admission)["not_known"] == 200 - len(stored)

    def test_a_message_of_invalid_content_that_may_have_come_before_is_quarantined(self) -> None:
        admission = fresh()
        admission.admit(batch(message(0)))
        admission.retire(np.array([0]))
        too_far = message(0, s=[(MAX_TIME - T, {"t": 1.0})])
        admitted = admission.admit(batch(too_far))
        assert (len(admitted.quarantined), admitted.not_known) == (1, None)


def test_deliveries_of_foreign_sites_are_counted_as_quarantined_messages_except_statuses_and_acks() -> None:
    admission = fresh()
    topics = [device_topic("away", "a", kind) for kind in (TELEMETRY, "status", "ack", TELEMETRY)]
    admission.refuse_foreign(batch(b"", b"", b"", b"", topics=topics, qos0=[1, 3]), range(4))
    counted = balanced(admission)
    assert (counted["received"], counted["quarantined"], counted["qos0"]) == (2, 2, 1)
    assert admission.registry.refused == {"foreign_site": 4}


class TestForgetting:
    def test_a_metric_begins_anew_and_the_device_is_still_awaited(self) -> None:
        admission = fresh()
        admission.admit(batch(message(0, {"t": 1.0, "u": 2.0})))
        admission.forget("device-1", "t")
        admission.forget("unknown", None)
        table = admission.registry.table
        assert (table.find(0, "t"), table.find(0, "u")) == (-1, 1)
        assert admission.registry.presence.silent(0).tolist() == [False]
        admission.admit(batch(message(0), message(1, {"t": 1.0})))
        assert (table.find(0, "t"), balanced(admission)["duplicate"]) == (2, 1)

    def test_a_whole_device_is_silent_until_it_speaks(self) -> None:
        admission = fresh()
        admission.admit(batch(message(0, {"t": 1.0, "u": 2.0})))
        admission.forget("device-1", None)
        assert admission.registry.table.of_device(0).tolist() == []
        assert admission.registry.presence.silent(-(10**12)).tolist() == [True]

    def test_what_is_reclaimed_is_forgotten_by_rates_and_counters(self) -> None:
        admission = fresh(RegistryLimits(unused_for=1_000))
        admission.admit(batch(message(0, {"ph": 7.0, "bad": None})))
        gone = admission.reclaim(1_001, np.zeros(2, np.bool_), set())
        assert (gone.series.tolist(), sorted(gone.metrics.tolist())) == ([0, 1], [0, 1])
        assert admission.describe(0)["bad"] == {"(other metrics): missing": 1}
        frame = admission.admit(batch(message(1, {"ph": 7.0}))).frame
        assert frame.value.tolist() == [7.0], "the rate of the series before does not count"


def test_a_birth_of_a_new_boot_lets_kinds_be_decided_again() -> None:
    admission = fresh()
    admission.admit(batch(message(0)))
    admission.birth(0, Birth(type="pump", boot=3))
    assert not admission.registry.table.any_anew
    admission.birth(0, Birth(type="pump", boot=4))
    assert admission.registry.table.any_anew
