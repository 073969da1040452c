"""Mapping files: which columns of a CSV file are devices, times and metrics."""

import csv
import re
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from fleet_config import spelling
from fleet_config.problems import NOWHERE, Problem, ProblemsFound, suggest
from fleet_config.validation import Strict, validate
from fleet_config.yaml_source import load_yaml

__all__ = [
    "FromColumn",
    "Mapping",
    "MetricName",
    "legal_name",
    "load_mapping",
    "mapping_for",
    "one_of_the_mappings",
    "ready_mappings",
]

PLAIN = "plain"

CENSORED_QUALITY = 0.5

Level = Annotated[str, spelling.LEVEL]
MetricName = Annotated[str, spelling.METRIC]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"'{name}' is not a time zone; write one like UTC or Europe/Rome") from None
    return name


def _encoding(name: str) -> str:
    try:
        "".encode(name)
    except LookupError:
        raise ValueError(f"'{name}' is not a text encoding; write one like utf-8 or latin-1") from None
    return name


class FromColumn(Strict):
    """What a column says; of a device its first value counts."""

    column: str


class DeviceColumns(Strict):
    """The device of a row: the same for the whole file (`id`), or the value of a column."""

    id: Level | None = None
    column: str | None = None
    site: Level | FromColumn = "recording"
    type: str | FromColumn
    tags: dict[str, str] = Field(default_factory=dict)
    """column of each tag; its first value counts"""
    tag_columns: str | None = Field(default=None, min_length=1)
    """how columns begin whose rest is the name of a tag"""

    @model_validator(mode="after")
    def _one_of(self) -> "DeviceColumns":
        if (self.id is None) == (self.column is None):
            raise ValueError("give either id (one device) or column (a device for each value)")
        return self


class TimeColumns(Strict):
    """The time of a row: columns joined by a space, read by `format` (strptime; `iso` for ISO 8601)."""

    columns: tuple[str, ...] = Field(min_length=1)
    format: str = "iso"
    zone: Annotated[str, AfterValidator(_zone)] = "UTC"


class WideMetric(Strict):
    """A metric with a column of its own."""

    column: str
    unit: str | None = None


def _wide(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


class LongColumns(Strict):
    """A value per row: the columns with the metric's name, value, unit, and `<` or `>` if it is censored."""

    name: str
    value: str
    unit: str | None = None
    qualifier: str | None = None


class Mapping(Strict):
    """A mapping file: either `metrics` (a column for each) or `long` (a row for each value)."""

    version: Literal[1]
    description: str = ""
    separator: str = Field(default=",", min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    encoding: Annotated[str, AfterValidator(_encoding)] = "utf-8-sig"
    """by default UTF-8, with or without the byte order mark of spreadsheets"""
    device: DeviceColumns
    time: TimeColumns
    metrics: dict[MetricName, Annotated[WideMetric, BeforeValidator(_wide)]] = Field(default_factory=dict)
    long: LongColumns | None = None
    optional: tuple[str, ...] = ()
    """columns that a file may lack"""
    censored_quality: float = Field(default=CENSORED_QUALITY, ge=0, le=1)
    """quality sent with a value of which only a limit is known; the limit is sent as the value"""

    @model_validator(mode="after")
    def _one_layout(self) -> "Mapping":
        if bool(self.metrics) == (self.long is not None):
            raise ValueError("give either metrics (a column for each) or long (a row for each value)")
        return self


def legal_name(label: str) -> str:
    """Turn a label into a metric's name: `CO(GT)` → `co_gt`, `Sld Sus@105C` → `sld_sus_105c`."""
    words = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")
    if not words:
        raise ValueError(f"'{label}' has no letter or digit to make a metric name of")
    return (words if words[0].isalpha() else f"m_{words}")[:64]


def ready_mappings() -> list[str]:
    """Names of the mappings that are included."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in files("fleet_recordings").iterdir()
        if entry.name.endswith(".yaml")
    )


def one_of_the_mappings() -> str:
    """Return what a mapping may be, for messages."""
    return f"one of {', '.join(ready_mappings())}, or the path of a YAML file"


def load_mapping(name: str) -> Mapping:
    """Load a ready mapping by its name, or a file; ProblemsFound names everything that is wrong."""
    if name in ready_mappings():
        return validate(Mapping, load_yaml(Path(str(files("fleet_recordings") / f"{name}.yaml"))))
    if re.fullmatch(r"[A-Za-z0-9_-]+", name) and not Path(name).exists():
        message = f"no such mapping; {one_of_the_mappings()}{suggest(name, ready_mappings())}"
        raise ProblemsFound([Problem(name, *NOWHERE, message)])
    return validate(Mapping, load_yaml(Path(name)))


def mapping_for(file: Path, name: str | None) -> Mapping:
    """Load the mapping of that name; without one `plain`, if the file has its columns. ProblemsFound as load_mapping.

    A file that cannot be read is left to its reader.
    """
    if name is not None:
        return load_mapping(name)
    plain = load_mapping(PLAIN)
    assert plain.long is not None
    needed = (*plain.time.columns, plain.device.column, plain.long.name, plain.long.value)
    try:
        with file.open(encoding=plain.encoding, newline="") as text:
            found = next(csv.reader(text), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return plain
    if not set(needed) <= set(found):
        message = f"--mapping: say which columns are what: {one_of_the_mappings()}"
        raise ProblemsFound([Problem(str(file), *NOWHERE, message)])
    return plain
