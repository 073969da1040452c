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
        (403, 10, Step.KEEP),
        (404, 1, Step.KEEP),
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
)
def test_every_answer_is_decided_and_only_204_accepts(
    status: int | None, lines: int, message: str, header: str | None
) -> None:
    decision = decide(Outcome(status, message, header), lines, NOW)
    assert (decision.step is Step.ACCEPT) == (status == 204)
    assert decision.wait is None or 0 <= decision.wait <= LONGEST_RETRY_AFTER
    if decision.step is Step.HALVE:
        assert lines > 1
