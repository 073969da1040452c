"""What the doctor says of a disk."""

import re
from pathlib import Path
from typing import Any

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.doctor import look


def told(place: Path, interval: str) -> re.Match[str]:
    (place / "rules").mkdir(exist_ok=True)
    settings: dict[str, Any] = {
        "mqtt": {"url": "mqtt://127.0.0.1"},
        "spool": {"path": str(place), "commit_interval": interval},
        "rules": {"path": str(place / "rules")},
    }
    findings = look(GatewayConfig.model_validate(settings), embedded=True)
    (detail,) = [finding.detail for finding in findings if finding.check == "sync"]
    found = re.search(
        r"median ([\d.]+) ms, p99 ([\d.]+) ms of 100; commits write at most ([\d.]+) GB", detail
    )
    assert found, detail
    return found


def test_the_time_of_a_sync_and_what_a_day_of_commits_writes(tmp_path: Path) -> None:
    often, seldom = told(tmp_path, "50ms"), told(tmp_path, "1s")
    assert float(often[1]) <= float(often[2])
    assert (float(often[3]), float(seldom[3])) == (9.3, 1.1)
