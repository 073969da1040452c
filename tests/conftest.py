"""Shared fixtures: the real servers.

A test that uses `broker`, `broker_factory` or `influx` gets a real process on a free port. Without the server it is
skipped, and the last lines of the run say so; with `--full` and in CI it fails.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import settings

from edge_gateway.errors import CannotReach
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.problems import Problems
from tests.servers.broker import Broker
from tests.servers.influx import Influx, ServerMissing, running_influx

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

BrokerFactory = Callable[..., Broker]
_MISSING = "missing here: "


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="fail tests whose server is missing, as CI does")
    parser.addoption(
        "--failures", type=Path, help="write failed tests, each with its last lines, to this file"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what asks for a server, so that `-m "not broker and not influx"` leaves it out; skip slow tests."""
    for item in items:
        if item.get_closest_marker("slow") and not config.getoption("--full"):
            item.add_marker(pytest.mark.skip(reason="slow: runs only with --full"))
        fixtures = set(getattr(item, "fixturenames", ()))
        if fixtures & {"broker", "broker_factory"}:
            item.add_marker("broker")
        if "influx" in fixtures:
            item.add_marker("influx")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(str(report.longrepr[2]) for report in skipped if isinstance(report.longrepr, tuple))
    for reason, count in sorted(reasons.items()):
        if _MISSING in reason:
            text = reason.partition(_MISSING)[2]
            terminalreporter.write_line(f"{count} TESTS DID NOT RUN: {text}", red=True, bold=True)
    if file := terminalreporter.config.getoption("--failures"):
        failed = [*terminalreporter.stats.get("failed", []), *terminalreporter.stats.get("error", [])]
        file.write_text("".join(_in_brief(report) for report in failed))


def _in_brief(report: pytest.TestReport) -> str:
    """Return a failed test and the last lines of its report: what a truncated log still shows."""
    last = [line[:200] for line in report.longreprtext.splitlines() if line.strip()][-8:]
    return "\n    ".join([f"FAILED {report.nodeid}", *last]) + "\n"


def unavailable(config: pytest.Config, reason: str) -> NoReturn:
    """Skip the test because its server is missing; fail it with `--full` and in CI."""
    if config.getoption("--full") or os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(_MISSING + reason)


@pytest.fixture(scope="session")
def _session_broker(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Broker]:
    try:
        broker = Broker(tmp_path_factory.mktemp("broker"))
    except CannotReach as error:
        unavailable(request.config, str(error))
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def broker(_session_broker: Broker) -> Broker:
    """The shared broker, running: use your own sites and client ids."""
    _session_broker.resume()
    if not _session_broker.running:
        _session_broker.start()
    return _session_broker


@pytest.fixture
def broker_factory(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[BrokerFactory]:
    """Start brokers for one test: `broker_factory("max_keepalive 10")` adds lines of configuration."""
    brokers: list[Broker] = []

    def start(*lines: str, anonymous: bool = True) -> Broker:
        try:
            broker = Broker(tmp_path / f"broker-{len(brokers)}", *lines, anonymous=anonymous)
        except CannotReach as error:
            unavailable(request.config, str(error))
        brokers.append(broker)
        broker.start()
        return broker

    yield start
    for broker in brokers:
        broker.kill()


@pytest.fixture(scope="session")
def _session_influx(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Influx]:
    try:
        with running_influx(tmp_path_factory.mktemp("influx")) as influx:
            yield influx
    except ServerMissing as error:
        unavailable(request.config, str(error))


@pytest.fixture
def influx(_session_influx: Influx) -> Influx:
    """The shared InfluxDB 2, running: use a fresh_bucket()."""
    _session_influx.heal()
    return _session_influx


@pytest.fixture(autouse=True)
def _problems_as_marked(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test marked `problem("raises" or "clears", CODE, …)` fails unless each of these problems does so in it."""
    marked = {(mark.args[0], code) for mark in request.node.iter_markers("problem") for code in mark.args[1:]}
    if not marked:
        yield
        return
    seen: set[tuple[str, str]] = set()
    raise_, clear = Problems.raise_, Problems._end

    def raising(self: Problems, problem: Problem, *args: Any, **named: Any) -> None:
        raise_(self, problem, *args, **named)
        seen.add(("raises", problem.code))

    def clearing(self: Problems, problem: Problem) -> None:
        if problem in self:
            seen.add(("clears", problem.code))
        clear(self, problem)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Problems, "raise_", raising)
        patch.setattr(Problems, "_end", clearing)
        yield
    assert marked <= seen, f"did not happen: {sorted(marked - seen)}"


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    """Restore the umask: commands that write a spool change it for the whole process."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)
