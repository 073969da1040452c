"""The committed JSON Schemas: what the programs make, and true of what people write and gateways say."""

import asyncio
import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiomqtt
import msgspec
import pytest
from jsonschema import Draft202012Validator

from edge_gateway.status.catalogue import Problem
from edge_gateway.status.counters import AllCounters
from edge_gateway.status.page_tables import status_rows, with_tables
from edge_gateway.status.problem import Gravity
from edge_gateway.status.report import Backlog, Gap, Gaps, OpenProblem, SinkStatus
from fleet_config.yaml_source import load_yaml
from fleet_wire.control_messages import decode_gateway_status
from fleet_wire.topics import gateway_status_topic
from schemas import DIRECTORY, PAGE, as_text, schemas
from tests.gateway.status.reports import report_of
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway

ROOT = Path(__file__).parents[1]
RULES = [path for path in sorted(ROOT.glob("rules/*.yaml")) if not path.name.endswith(".test.yaml")]
SCENARIOS = [*sorted(ROOT.glob("fleet_sim/profiles/*.yaml")), ROOT / "fleet_demo" / "cold-chain.yaml"]
WRITTEN = [
    *(("rules", path) for path in [*RULES, ROOT / "fleet_demo" / "rules.yaml"]),
    *(("scenario", path) for path in SCENARIOS),
    ("gateway", ROOT / "gateway.yaml"),
]


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((DIRECTORY / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize(("name", "schema"), schemas().items())
def test_the_committed_file_is_what_the_programs_make(name: str, schema: dict[str, Any]) -> None:
    committed = (DIRECTORY / name).read_text()
    assert committed == as_text(schema), "make it anew: python -m schemas"


def codes_in(section: str) -> set[str]:
    """What the first column of the tables of a section of docs/operate.md names."""
    page = PAGE.read_text()
    part = page[page.index(f"## {section}\n") :]
    part = part[: part.index("\n## ", 1)]
    rows = (line.split("|")[1] for line in part.splitlines() if line.startswith("| `"))
    return {code for row in rows for code in re.findall(r"`([^`]+)`", row)}


@pytest.mark.parametrize(
    ("section", "names"),
    [
        ("Problems", {problem.code for problem in Problem}),
        ("Counters", set(AllCounters.__struct_fields__)),
        ("The status", {row[0].strip("`") for row in status_rows()} - {"field"}),
    ],
)
def test_the_page_names_what_the_program_has_and_nothing_else(section: str, names: set[str]) -> None:
    on_page = codes_in(section)
    assert not names - on_page, "has no row; make them anew: python -m schemas"
    assert not on_page - names, "has a row, and is not there any more; make them anew: python -m schemas"


def test_the_tables_of_the_page_are_what_the_program_makes() -> None:
    page = PAGE.read_text()
    assert page == with_tables(page), "make them anew: python -m schemas"


def test_the_bounds_name_counters_and_problems_that_exist() -> None:
    page = PAGE.read_text()
    rows = [line.split("|") for line in page[page.index("## Bounds") :].splitlines() if line.startswith("| ")]
    known = {*AllCounters.__struct_fields__, *(problem.code for problem in Problem)}
    fields = {row[0].strip("`") for row in status_rows()}
    named = [name for row in rows if len(row) > 5 for name in re.findall(r"`(\w+)`", row[3])]
    assert named
    assert not set(named) - known, "is no counter"
    shown = [
        name
        for row in rows
        if len(row) > 5 and "problem" in row[5]
        for name in re.findall(r"`(\w+)`", row[5])
    ]
    assert not set(shown) - known - fields, "is no problem"


@pytest.mark.parametrize(("name", "path"), WRITTEN, ids=lambda given: str(getattr(given, "name", given)))
def test_what_ships_is_valid(name: str, path: Path) -> None:
    validator(name).validate(load_yaml(path).data)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        (
            "rules",
            {"version": 1, "groups": [{"name": "g", "rules": [{"alert": "A", "expr": "x", "abov": 1}]}]},
        ),
        ("rules", {"version": 1, "groups": [], "inhibit": [{}]}),
        ("gateway", {"version": 1}),
        ("gateway", {"mqtt": {"url": "mqtt://localhost"}, "spool": {"commit_interval": 250}}),
        ("gateway", {"mqtt": {"url": "mqtt://localhost", "password": "literal"}}),
        ("gateway", {"mqtt": {"url": "mqtt://localhost"}, "web": {}}),
        ("scenario", {"version": 1, "name": "s", "fleet": {}}),
        ("gateway-status", {"v": 1, "gateway": "gw"}),
    ],
)
def test_what_the_programs_refuse_is_not_valid(name: str, wrong: dict[str, Any]) -> None:
    assert not validator(name).is_valid(wrong)


def defaults(node: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from defaults(inner)
    if isinstance(node, dict) and "default" in node and not isinstance(node["default"], dict):
        yield {key: value for key, value in node.items() if key != "default"}, node["default"]


@pytest.mark.parametrize("name", ["rules", "gateway"])
def test_a_default_is_what_a_file_may_say(name: str) -> None:
    schema = json.loads((DIRECTORY / f"{name}.schema.json").read_text())
    found = list(defaults(schema))
    assert len(found) > 10
    for described, default in found:
        whole = {"$defs": schema["$defs"], **described}
        assert Draft202012Validator(whole).is_valid(default), (described, default)


def whole_status() -> dict[str, Any]:
    """A status in which every section and every list has something, as it is sent."""
    made = msgspec.structs.replace(
        report_of(problems=(OpenProblem("disk", "full", 1, Gravity.FAILURE),)),
        gaps=Gaps(1, 2, (Gap("d", 1, 2, 3),)),
        sinks={"influx": SinkStatus(waiting_until=1, waiting=Backlog(oldest=1))},
    )
    sent: dict[str, Any] = msgspec.msgpack.decode(msgspec.msgpack.encode(made))
    return sent


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a message."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inner:
        yield (*path, key)
        yield from places(value, (*path, key))


def at(message: Any, path: tuple[Any, ...]) -> Any:
    """The value at a path."""
    for key in path:
        message = message[key]
    return message


def test_a_field_that_is_always_sent_is_required() -> None:
    valid = validator("gateway-status").is_valid
    message = whole_status()
    assert valid(message)
    named = {"counters", "metrics", "sinks"}
    fields = [
        path
        for path in places(message)
        if isinstance(path[-1], str) and not (len(path) == 2 and path[0] in named)
    ]
    assert len(fields) > 80
    for path in fields:
        without = copy.deepcopy(message)
        del at(without, path[:-1])[path[-1]]
        assert not valid(without), path


def test_a_count_a_size_or_a_duration_is_not_negative() -> None:
    valid = validator("gateway-status").is_valid
    message = whole_status()
    message["counters"] = dict.fromkeys([*AllCounters.__struct_fields__, "counted_by_a_later_version"], 1)
    assert valid(message)
    instants = {"at", "started", "earliest", "floor", "oldest", "since", "waiting_until"} | {"off"}
    numbers = [
        path for path in places(message) if type(at(message, path)) is int and path[-1] not in instants
    ]
    assert len(numbers) > 80
    for path in numbers:
        wrong = copy.deepcopy(message)
        at(wrong, path[:-1])[path[-1]] = -1
        assert not valid(wrong), path


async def retained_status(broker: Broker, gateway: str) -> dict[str, Any]:
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.subscribe(gateway_status_topic(gateway))
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            return decode_gateway_status(message.payload)
    raise AssertionError("the broker closed the connection")


def test_the_retained_status_of_a_gateway_is_as_its_schema_says(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a sink that cannot be reached, a metric with all settings, and a broken rule file."""
    monkeypatch.setenv("STATUS_TEST_TOKEN", "secret")
    gateway = Gateway(
        tmp_path,
        broker.url,
        gateway={"id": "gw-status", "sites": ["status-site"], "tags": ["line"]},
        metrics={"flow": {"unit": "l/s", "range": [0, 9], "missing": [-1], "rate": "1/s", "p95": True}},
        influx={"url": "http://127.0.0.1:9", "org": "fleet", "token": "env:STATUS_TEST_TOKEN"},
    )
    gateway.start()
    try:
        gateway.write_rules("version: 1\ngroups: nothing\n")
        status = gateway.wait_for(lambda report: report["rules"]["problems"])
        retained = asyncio.run(retained_status(broker, "gw-status"))
    finally:
        gateway.kill()
    validator("gateway-status").validate(status)
    validator("gateway-status").validate(retained)
    assert retained.keys() == status.keys()
    assert "influx" in retained["sinks"]
