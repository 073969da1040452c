"""Somebody on the machine opens every connection it can to /metrics and the local socket, and says nothing.

The gateway has 1,024 files, as a login shell gives it; a rule file changes in the middle of it, and is taken.
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
from tests.proofs.refuse.trial import WITHIN, gateway_of, honest_fleet, judge_fleet, taken_more
from tests.servers.process import ServerFailed, free_port, wait_until

OF_HTTP, OF_SOCKET = 1_100, 600
FILES: Final = 1_024
UNDER: Final = ("prlimit", f"--nofile={FILES}:{FILES}")


def run(setting: Setting, name: str) -> None:
    """Hold every connection that can be had while a fleet is at work."""
    broker = setting.broker()
    port = free_port()
    gateway = gateway_of(setting, broker, name, http={"listen": f"127.0.0.1:{port}"})
    gateway.start(under=UNDER)
    with honest_fleet(setting, broker, f"{name}-site") as fleet:
        taken_more(gateway)
        before = gateway.ask(do="status")["rules"]["hash"]
        with idle(port, gateway.spool / "control.sock") as held:
            setting.tally.measured["idle connections"] = held
            gateway.write_rules(RULES.replace("expires: 60s", "expires: 50s"))
            _must_answer(setting, port)
            gateway.wait_for(lambda report: report["rules"]["hash"] != before, within=WITHIN)
            taken_more(gateway)
        _must_answer(setting, port)
    judge_fleet(setting, gateway, fleet.ledger)
    setting.tally.faults["idle connections"] += 1
    gateway.kill()


@contextmanager
def idle(port: int, local: Path) -> Iterator[int]:
    """Open connections until no more can be had; how many there are."""
    _allow_files(OF_HTTP + OF_SOCKET + 200)
    with ExitStack() as stack:
        opened = 0
        for address, count in ((("127.0.0.1", port), OF_HTTP), (str(local), OF_SOCKET)):
            family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
            for _ in range(count):
                one = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
                one.settimeout(0.2)
                with suppress(OSError):
                    one.connect(address)
                    opened += 1
        yield opened


def _allow_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def _must_answer(setting: Setting, port: int) -> None:
    """Whoever asks for the health gets an answer, if not at once."""

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
        setting.tally.forbid("no answer", str(failed))
