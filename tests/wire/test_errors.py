import errno
import socket
import ssl

import pytest

from fleet_wire.errors import ConnectionLost, ConnectRefused, meaning, not_mqtt, plain_text, unreachable


def untrusted() -> ssl.SSLCertVerificationError:
    problem = ssl.SSLCertVerificationError(1, "certificate verify failed")
    problem.verify_message = "certificate has expired"
    return problem


@pytest.mark.parametrize(
    ("problem", "kind", "text"),
    [
        (untrusted(), ConnectRefused, "a:1: its certificate is not trusted: certificate has expired"),
        (ssl.SSLError(1, "wrong version"), ConnectRefused, "a:1: TLS failed (wrong version)"),
        (
            ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)"),
            ConnectRefused,
            "a:1: TLS failed (wrong version number): check that the port is TLS",
        ),
        (ssl.SSLEOFError(8, "EOF occurred"), ConnectionLost, "cannot reach a:1: EOF occurred"),
        (TimeoutError(), ConnectionLost, "a:1 did not answer within 2.5 s"),
        (
            TimeoutError(errno.ETIMEDOUT, "Connect call failed"),
            ConnectionLost,
            "cannot reach a:1: Connection timed out",
        ),
        (
            OSError(errno.ECONNREFUSED, "Connect call failed"),
            ConnectionLost,
            "cannot reach a:1: Connection refused",
        ),
        (socket.gaierror(-2, "Name or service not known"), ConnectionLost, "a:1: Name or service not known"),
        (OSError("Multiple exceptions: one, two"), ConnectionLost, "a:1: Multiple exceptions: one, two"),
        (
            OSError(
                "Multiple exceptions: [Errno 111] Connect call failed ('::1', 1), [Errno 111] Connect call"
            ),
            ConnectionLost,
            "cannot reach a:1: Connection refused",
        ),
        (ConnectionResetError(), ConnectionLost, "cannot reach a:1: the connection was closed"),
    ],
)
def test_a_failed_connection_is_explained(problem: OSError, kind: type[Exception], text: str) -> None:
    outcome = unreachable(problem, "a:1", waited=2.5)
    assert type(outcome) is kind
    assert text in str(outcome)


def caused(text: str, cause: BaseException) -> Exception:
    error = RuntimeError(text)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RuntimeError("[Errno 111] Connection refused"), "Connection refused"),
        (RuntimeError("[Errno 111] Connect call failed ('127.0.0.1', 1883)"), "Connection refused"),
        (RuntimeError("[Errno -2] Name or service not known"), "Name or service not known"),
        (RuntimeError("could not send: [Errno 32] Broken pipe"), "could not send: Broken pipe"),
        (RuntimeError(), "RuntimeError"),
        (caused("odd", ConnectionRefusedError(111, "Connect call failed")), "Connection refused"),
        (caused("odd", untrusted()), "its certificate is not trusted: certificate has expired"),
        (FileNotFoundError(2, "No such file or directory", "/x"), "No such file or directory"),
        (TimeoutError(), "no answer in time"),
        (TimeoutError("no answer from /x within 5 s"), "no answer from /x within 5 s"),
        (ConnectionLost("the connection broke: Broken pipe"), "the connection broke: Broken pipe"),
    ],
)
def test_no_number_of_the_system_is_shown(error: BaseException, text: str) -> None:
    assert plain_text(error) == text


def test_a_reason_code_has_a_meaning_a_number_and_what_the_broker_said() -> None:
    assert meaning(0x97) == "quota exceeded (0x97)"
    assert meaning(0x97, "1 GB") == "quota exceeded (0x97, the broker says '1 GB')"
    assert len(meaning(0x97, "x" * 70_000)) < 300
    assert meaning(0xFE) == "unknown reason (0xfe)"


def test_half_an_mqtt_3_answer_is_recognised() -> None:
    assert "MQTT 3 only" in str(not_mqtt(b"\x20\x02", "a:1"))
    assert not_mqtt(b"\x20\x02", "a:1").reason is None
