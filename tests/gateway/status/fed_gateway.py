"""A fold that tests feed with messages, and what it says of devices."""

from __future__ import annotations

import json
from typing import Any

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records.inputs import Batch, Moment
from edge_gateway.recovery.settings import fold_settings
from edge_gateway.status.device_problems import DeviceProblems
from edge_gateway.status.devices import describe_devices
from edge_gateway.status.problems import Problems
from fleet_wire import control_messages
from fleet_wire.telemetry import encode_telemetry

START = 1_790_000_000_000
YEAR_2021 = 1_620_000_000_000


def fresh(**sections: Any) -> Pipeline:
    config = {"mqtt": {"url": "mqtt://localhost"}, **sections}
    return build_pipeline("gw", fold_settings(GatewayConfig.model_validate(config)))


class Gateway:
    """A fold, and the times at which it is fed."""

    def __init__(self) -> None:
        self.pipeline = fresh()
        self.elapsed = 0
        self.open = Problems(lambda: 0)

    def take(self, *messages: tuple[str, bytes]) -> None:
        topics, payloads = [topic for topic, _ in messages], [payload for _, payload in messages]
        self.pipeline.fold(Batch(Moment(START + self.elapsed, self.elapsed), topics, payloads))

    def problem(self, code: str) -> str:
        return self.problems()[code]

    def problems(self) -> dict[str, str]:
        """The texts as they are without what was shown before, which they open and clear."""
        found = {}
        for problem, text in DeviceProblems(lambda: 0).check(self.pipeline):
            self.open.update(problem, text)
            found[problem.code] = text
        return found

    def rows(self, device: str | None = None) -> list[dict[str, Any]]:
        return list(describe_devices(self.pipeline, device))

    def restart(self) -> None:
        state = self.pipeline.snapshot()
        self.pipeline = fresh()
        self.pipeline.restore(state)


def topic(device: str, kind: str = "telemetry", site: str = "berlin") -> str:
    return f"fleet/v1/{site}/{device}/{kind}"


def reading(device: str, seq: int, ts: int | None = START, site: str = "berlin") -> tuple[str, bytes]:
    return topic(device, site=site), encode_telemetry(1, seq, ts, {"temperature": 5.0})


def as_json(device: str, site: str = "berlin") -> tuple[str, bytes]:
    return topic(device, site=site), json.dumps({"temperature": 5.0}).encode()


def birth(device: str, **facts: Any) -> tuple[str, bytes]:
    return topic(device, "status"), control_messages.encode_birth(
        control_messages.Birth(type="freezer", boot=1, **facts)
    )
