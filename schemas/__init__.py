"""The JSON Schemas of the files people write and of the gateway's status, made from the programs.

`python -m schemas` writes them; a test compares the files with the programs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.rules.files.model import rules_schema
from edge_gateway.status.report import status_schema
from fleet_config.durations import DURATION_PATTERN, format_duration
from fleet_sim.scenario.loading import scenario_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DIRECTORY = Path(__file__).parent
PAGE = DIRECTORY.parent / "docs" / "operate.md"
"""The page with tables that the programs make."""
REFUSED_SECTIONS = ("notices", "web")


def schemas() -> dict[str, dict[str, Any]]:
    """Return every schema by its file name."""
    gateway = GatewayConfig.model_json_schema(by_alias=True)
    for name in REFUSED_SECTIONS:
        del gateway["properties"][name]
    return {
        "rules.schema.json": as_written(rules_schema()) | {"title": "edge-gateway rules"},
        "gateway.schema.json": as_written(gateway) | {"title": "gateway.yaml"},
        "scenario.schema.json": as_written(scenario_schema()) | {"title": "fleet-sim scenario"},
        "gateway-status.schema.json": as_written(status_schema()) | {"title": "edge-gateway status"},
    }


def as_text(schema: dict[str, Any]) -> str:
    """Return a schema as its file has it."""
    return json.dumps({"$schema": DIALECT, **schema}, indent=1, ensure_ascii=False) + "\n"


def as_written(node: Any) -> Any:
    """Return a schema without titles that only repeat a name, and with defaults as a person would write them."""
    if isinstance(node, list):
        return [as_written(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if not (key == "title" and isinstance(value, str))}
    if "default" in kept:
        kept = _with_default(kept)
    return {key: as_written(value) if key != "default" else value for key, value in kept.items()}


def _with_default(node: dict[str, Any]) -> dict[str, Any]:
    """Return a node with its default as a file may have it: the program keeps durations, rates and sizes as numbers."""
    default = node["default"]
    if node.get("pattern") == DURATION_PATTERN and not isinstance(default, str):
        return {**node, "default": format_duration(default)}
    fits = "$ref" not in node and "anyOf" not in node and _is_of(node.get("type"), default)
    return node if fits else {key: value for key, value in node.items() if key != "default"}


def _is_of(wanted: str | None, value: Any) -> bool:
    """Return whether a default has the type its schema wants."""
    return wanted != "string" or isinstance(value, str)
