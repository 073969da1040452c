"""How a CSV file maps to devices, times and metrics: a small YAML file, or a ready one by its name."""

import re
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from fleet_config.validation import Strict, validate
from fleet_config.yaml_source import load_yaml
from fleet_sim.signals.metric import MetricName

__all__ = ["Mapping", "legal_name", "load_mapping", "ready_mappings"]

CENSORED_QUALITY = 0.5


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"'{name}' is no time zone; write one like UTC or Europe/Rome") from None
    return name


class DeviceColumns(Strict):
    """Which device a row belongs to: one for the whole file (`id`), or one a value of a column."""

    id: str | None = None
    column: str | None = None
    site: str = "recording"
    type: str
    tags: dict[str, str] = Field(default_factory=dict)
    """tag: column whose first value is taken"""

    @model_validator(mode="after")
    def _one_of(self) -> "DeviceColumns":
        if (self.id is None) == (self.column is None):
            raise ValueError("give either id (one device) or column (a device a value)")
        return self


class TimeColumns(Strict):
    """Where the time stands: columns joined by a space, read by `format` (strptime; `iso` for ISO 8601)."""

    columns: tuple[str, ...] = Field(min_length=1)
    format: str = "iso"
    zone: Annotated[str, AfterValidator(_zone)] = "UTC"


class WideMetric(Strict):
    """One column that is a metric."""

    column: str
    unit: str | None = None


def _wide(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


class LongColumns(Strict):
    """One row a value: the columns of its metric's name, value, unit, and `<` or `>` where it is censored."""

    name: str
    value: str
    unit: str | None = None
    qualifier: str | None = None


class Mapping(Strict):
    """A whole mapping file. Either `metrics` (a column each) or `long` (a row each)."""

    version: Literal[1]
    description: str = ""
    separator: str = Field(default=",", min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    encoding: str = "utf-8-sig"
    """by default UTF-8, with the mark that spreadsheets put first or without"""
    device: DeviceColumns
    time: TimeColumns
    metrics: dict[MetricName, Annotated[WideMetric, BeforeValidator(_wide)]] = Field(default_factory=dict)
    long: LongColumns | None = None
    censored_quality: float = Field(default=CENSORED_QUALITY, ge=0, le=1)
    """sent with a value that is only known to lie below or above a limit; the limit is the value"""

    @model_validator(mode="after")
    def _one_layout(self) -> "Mapping":
        if bool(self.metrics) == (self.long is not None):
            raise ValueError("give either metrics (a column each) or long (a row each)")
        return self


def legal_name(label: str) -> str:
    """Make a metric's name of any label: `CO(GT)` → `co_gt`, `Sld Sus@105C` → `sld_sus_105c`."""
    words = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")
    if not words:
        raise ValueError(f"no metric name can be made of '{label}'")
    return (words if words[0].isalpha() else f"m_{words}")[:64]


def ready_mappings() -> list[str]:
    """Names of the mappings that ship with the simulator."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in (files("fleet_sim") / "recordings").iterdir()
        if entry.name.endswith(".yaml")
    )


def load_mapping(name: str) -> Mapping:
    """Load a ready mapping by its name, or a file; ProblemsFound with everything that is wrong."""
    if name in ready_mappings():
        return validate(Mapping, load_yaml(Path(str(files("fleet_sim") / "recordings" / f"{name}.yaml"))))
    return validate(Mapping, load_yaml(Path(name)))
