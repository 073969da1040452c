import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.sinks.outcomes import LONGEST_RETRY_AFTER, Outcome, Step, decide, retry_after

NOW = 1_700_000_000.0  # 2023-11-14T22:13:20Z


@pytest.mark.parametrize(
    ("status", "lines", "step"),
    [
        (204, 10, Step.ACCEPT),
        (200, 10, Step.KEEP),
        (302, 10, Step.KEEP),
        (400, 10, Step.HALVE),
        (400, 1, Step.REFUSE),
        (401, 10, Step.KEEP),
        (403, 10, Step.HOLD),
        (404, 1, Step.HOLD),
        (405, 10, Step.KEEP),
        (408, 10, Step.BACK_OFF),
        (413, 10, Step.HALVE),
        (413, 1, Step.REFUSE),
        (422, 1, Step.REFUSE),
        (422, 10, Step.HALVE),
        (425, 1, Step.BACK_OFF),
        (429, 1, Step.BACK_OFF),
        (500, 10, Step.BACK_OFF),
        (503, 10, Step.BACK_OFF),
        (None, 10, Step.BACK_OFF),
    ],
)
def test_each_answer_has_its_step(status: int | None, lines: int, step: Step) -> None:
    assert decide(Outcome(status, "told"), lines, NOW).step is step


@pytest.mark.parametrize(
    ("status", "lines", "step"),
    [
        (400, 10, Step.HALVE),
        (400, 1, Step.PROBE),
        (403, 1, Step.KEEP),
        (404, 1, Step.KEEP),
        (406, 1, Step.KEEP),
        (413, 1, Step.PROBE),
        (422, 1, Step.PROBE),
        (422, 9, Step.HALVE),
    ],
)
def test_words_that_are_not_influxdbs_put_no_line_aside_and_hold_no_bucket(
    status: int, lines: int, step: Step
) -> None:
    decision = decide(Outcome(status, "<html>partial write dropped=9", foreign=True), lines, NOW)
    assert decision.step is step
    assert decision.step is Step.HALVE or decision.suspect


@pytest.mark.parametrize(
    ("outcome", "suspect"),
    [
        (Outcome(500), True),
        (Outcome(None), True),
        (Outcome(408), True),
        (Outcome(429), False),
        (Outcome(425), False),
        (Outcome(401), False),
        (Outcome(401, foreign=True), False),
        (Outcome(407, foreign=True), False),
        (Outcome(302), False),
    ],
)
def test_what_may_be_the_requests_own_fault_is_suspect(outcome: Outcome, suspect: bool) -> None:
    assert decide(outcome, 10, NOW).suspect is suspect


def test_of_several_numbers_of_dropped_points_the_last_one_is_the_servers() -> None:
    told = "partial write: oldest point sensor,device=x dropped=99 at 2026 dropped because it is old dropped=1 for db"
    assert decide(Outcome(422, told), 50, NOW).step is Step.HALVE
    assert decide(Outcome(422, "dropped=0"), 1, NOW).step is Step.REFUSE


def test_an_answer_is_told_in_one_line_a_terminal_may_show() -> None:
    reason = decide(Outcome(503, "a\x1b[2J\nb" + "x" * 5000), 1, NOW).reason
    assert reason.startswith(r"503: a\x1b[2J\nb")
    assert len(reason) < 600


@pytest.mark.parametrize(
    ("outcome", "what"),
    [
        (Outcome(404, 'organization name "x" not found'), "influx.org"),
        (Outcome(404, 'bucket "x" not found'), "influx apply"),
        (Outcome(404, "<html>", foreign=True), "influx.url"),
        (Outcome(302, "to https://elsewhere", foreign=True), "https://elsewhere"),
        (Outcome(403, "insufficient permissions for write"), "write access"),
        (Outcome(401, "unauthorized access"), "influx.token"),
    ],
)
def test_a_problem_of_place_or_rights_names_what_to_mend(outcome: Outcome, what: str) -> None:
    assert what in decide(outcome, 1, NOW).reason


@pytest.mark.parametrize(("dropped", "step"), [(1, Step.HALVE), (99, Step.HALVE), (100, Step.REFUSE)])
def test_a_partial_write_is_searched_unless_all_of_it_was_refused(dropped: int, step: Step) -> None:
    text = (
        f"failure writing points to database: partial write: points beyond retention policy dropped={dropped}"
    )
    decision = decide(Outcome(422, text), 100, NOW)
    assert decision.step is step
    assert text in decision.reason


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_configuration_problem_says_what_to_do(status: int) -> None:
    assert str(status) in decide(Outcome(status), 5, NOW).reason
    assert len(decide(Outcome(status), 5, NOW).reason) > 30


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        (" 0 ", 0.0),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0.0),
        ("Wed, 15 Nov 2023 22:13:00 GMT", LONGEST_RETRY_AFTER),
        ("999999999999", LONGEST_RETRY_AFTER),
        ("soon", None),
        ("-3", None),
        ("1.5", None),
        ("²", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds
    assert decide(Outcome(503, "", header), 1, NOW).wait == seconds


@given(
    status=st.none() | st.integers(100, 999),
    lines=st.integers(1, 5000),
    message=st.text(max_size=50),
    header=st.none() | st.text(max_size=40),
    foreign=st.booleans(),
)
def test_every_answer_is_decided_and_only_204_accepts(
    status: int | None, lines: int, message: str, header: str | None, *, foreign: bool
) -> None:
    decision = decide(Outcome(status, message, header, foreign), lines, NOW)
    assert (decision.step is Step.ACCEPT) == (status == 204)
    assert decision.wait is None or 0 <= decision.wait <= LONGEST_RETRY_AFTER
    if decision.step is Step.HALVE:
        assert lines > 1


@pytest.mark.parametrize(
    ("outcome", "unknown"),
    [
        *((Outcome(status), False) for status in (204, 200, 301, 400, 401, 403, 404, 413, 422, 425, 429)),
        *((Outcome(status), True) for status in (408, 500, 502, 503, 504, None)),
        (Outcome(None, sent=False), False),
    ],
    ids=str,
)
def test_only_what_was_sent_and_not_answered_may_still_be_stored(outcome: Outcome, *, unknown: bool) -> None:
    assert outcome.unknown is unknown


@pytest.mark.parametrize("date", [None, "", "yesterday", "Tue, 14 Nov 2023 22:13:20 GMT"])
def test_a_date_to_wait_for_is_read_by_the_servers_clock_if_it_says_its_time(date: str | None) -> None:
    outcome = Outcome(503, retry_after="Tue, 14 Nov 2023 22:13:50 GMT", date=date)
    own_clock = NOW + 10.0
    expected = 30.0 if date and date.startswith("Tue") else 20.0
    assert decide(outcome, 1, own_clock).wait == expected
