"""A process on the machine opens every connection it can to /metrics and the local socket, and sends nothing.

The gateway may open 1,024 files, as from a login shell. A rule file changes meanwhile and must come into force.
"""

from __future__ import annotations

import resource
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.proofs.ground.field import RULES
from tests.proofs.proof import Setting
from tests.proofs.refuse.trial import WITHIN, honest_fleet, judge_fleet, make_gateway, wait_accepted
from tests.servers.process import ServerFailed, free_port, wait_until

HTTP_CONNECTIONS, SOCKET_CONNECTIONS = 1_100, 600
FILES: Final = 1_024
UNDER: Final = ("prlimit", f"--nofile={FILES}:{FILES}")


def run(setting: Setting, name: str) -> None:
    """Hold every connection that can be opened while a fleet sends."""
    broker = setting.broker()
    port = free_port()
    gateway = make_gateway(setting, broker, name, http={"listen": f"127.0.0.1:{port}"})
    gateway.start(under=UNDER)
    with honest_fleet(setting, broker, f"{name}-site") as fleet:
        wait_accepted(gateway)
        before = gateway.ask(do="status")["rules"]["hash"]
        with held_connections(port, gateway.spool / "control.sock") as held:
            setting.findings.measured["held_connections connections"] = held
            gateway.write_rules(RULES.replace("expires: 60s", "expires: 50s"))
            _must_answer(setting, port)
            gateway.wait_for(lambda report: report["rules"]["hash"] != before, within=WITHIN)
            wait_accepted(gateway)
        _must_answer(setting, port)
    judge_fleet(setting, gateway, fleet.ledger)
    setting.findings.faults["held_connections connections"] += 1
    gateway.kill()


@contextmanager
def held_connections(port: int, local: Path) -> Iterator[int]:
    """Open connections until no more are accepted; yields their number."""
    _raise_file_limit(HTTP_CONNECTIONS + SOCKET_CONNECTIONS + 200)
    with ExitStack() as stack:
        opened = 0
        for address, count in ((("127.0.0.1", port), HTTP_CONNECTIONS), (str(local), SOCKET_CONNECTIONS)):
            family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
            for _ in range(count):
                one = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
                one.settimeout(0.2)
                with suppress(OSError):
                    one.connect(address)
                    opened += 1
        yield opened


def _raise_file_limit(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def _must_answer(setting: Setting, port: int) -> None:
    """Check that /healthz is answered, if not at once."""

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
                return bool(answer.status)
        except urllib.error.HTTPError as error:
            return bool(error.code)
        except OSError:
            return False

    try:
        wait_until(answers, WITHIN, "/healthz answers beside idle connections")
    except ServerFailed as failed:
        setting.findings.forbid("no answer", str(failed))
