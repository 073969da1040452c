"""Uncaught errors are logged as one line each, with a traceback only at DEBUG."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from edge_gateway.service.unexpected import log_uncaught_errors


@pytest.fixture(autouse=True)
def hooks() -> Iterator[None]:
    thread, unraisable = threading.excepthook, sys.unraisablehook
    yield
    threading.excepthook, sys.unraisablehook = thread, unraisable


def unraisable(message: str | None, error: BaseException | None) -> sys.UnraisableHookArgs:
    return cast("sys.UnraisableHookArgs", SimpleNamespace(err_msg=message, exc_value=error))


async def test_event_loop_and_threads_log_one_line_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    log_uncaught_errors()
    asyncio.get_running_loop().call_exception_handler(
        {"message": "socket.accept() out of system resource", "exception": OSError(24, "Too many open files")}
    )

    def end() -> None:
        raise ValueError("odd")

    thread = threading.Thread(target=end, name="store")
    thread.start()
    thread.join()
    assert [one.getMessage() for one in caplog.records] == [
        "socket.accept() out of system resource: Too many open files",
        "the thread 'store' ended: ValueError: odd",
    ]
    assert not any(one.exc_info for one in caplog.records)


async def test_a_destructor_is_logged_with_or_without_a_message_and_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log_uncaught_errors()
    sys.unraisablehook(unraisable(None, ValueError("odd")))
    sys.unraisablehook(unraisable("Exception ignored in", None))
    asyncio.get_running_loop().call_exception_handler({})
    assert [one.getMessage() for one in caplog.records] == [
        "an object could not be cleared away: ValueError: odd",
        "Exception ignored in",
        "the event loop",
    ]


async def test_the_traceback_is_there_for_who_debugs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    log_uncaught_errors()
    sys.unraisablehook(unraisable(None, ValueError("odd")))
    (record,) = caplog.records
    assert record.exc_info is not None
