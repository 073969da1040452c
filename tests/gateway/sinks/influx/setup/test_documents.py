"""The templates as a configuration fits them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.__main__ import DIRECTORY, rendered
from edge_gateway.errors import BadInput
from edge_gateway.sinks.influx.setup.documents import KeptBucket, WindowBucket, documents_for, resource_name
from tests.gateway.sinks.influx.setup.page import check_faults, template_faults
from tests.gateway.sinks.influx.setup.place import DAY, WINDOWS

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("bucket", "name"),
    [
        ("telemetry_10m", "telemetry-10m"),
        ("Grün & Blau", "gr-n-blau"),
        ("__", "bucket"),
        ("x" * 80, "x" * 63),
    ],
)
def test_bucket_names_become_names_a_template_may_have(bucket: str, name: str) -> None:
    assert resource_name(bucket) == name
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name)


def test_buckets_that_a_template_cannot_tell_apart_are_refused() -> None:
    with pytest.raises(BadInput, match="'a_b' and 'a-b'"):
        documents_for((WindowBucket(10_000, "a_b", DAY), WindowBucket(60_000, "a-b", DAY)))


def test_a_configuration_of_its_own_reaches_every_document() -> None:
    own = (WindowBucket(10_000, 'my "base"', DAY), WindowBucket(60_000, "coarse", 2 * DAY))
    by_name = {one["metadata"]["name"]: one["spec"] for one in documents_for(own)}
    assert by_name["fleet-windows"]["values"] == {"10s": 'my "base"', "1m": "coarse"}
    assert r'from(bucket: "my \"base\"")' in by_name["gateway-silent"]["query"]
    assert by_name["coarse"]["retentionRules"] == [{"type": "expire", "everySeconds": 172_800}]
    assert '"telemetry' not in json.dumps(list(by_name.values()))


@pytest.mark.parametrize(
    ("keep", "rules"),
    [
        (0, []),
        (3_600_000, [{"type": "expire", "everySeconds": 3600}]),
        (3_600_001, [{"type": "expire", "everySeconds": 3601}]),
    ],
)
def test_a_bucket_keeps_for_ever_or_no_shorter_than_is_sent(keep: int, rules: list[dict[str, Any]]) -> None:
    (found,) = [one for one in documents_for([WindowBucket(60_000, "b", keep)]) if one["kind"] == "Bucket"]
    assert found["spec"]["retentionRules"] == rules


def boards() -> dict[str, dict[str, Any]]:
    return {
        one["metadata"]["name"]: one["spec"] for one in documents_for(WINDOWS) if one["kind"] == "Dashboard"
    }


@pytest.mark.parametrize("board", boards())
def test_cells_do_not_overlap_and_stay_on_the_grid(board: str) -> None:
    taken: set[tuple[int, int]] = set()
    for chart in boards()[board]["charts"]:
        x, y, width, height = (chart[key] for key in ("xPos", "yPos", "width", "height"))
        cells = {(column, row) for column in range(x, x + width) for row in range(y, y + height)}
        assert width > 0
        assert height > 0
        assert x + width <= 12
        assert not cells & taken, chart["name"]
        taken |= cells


def test_the_page_draws_every_cell_of_the_templates() -> None:
    for one in documents_for(WINDOWS):
        for chart in one["spec"].get("charts", ()):
            assert template_faults(chart) == [], chart["name"]
        if one["kind"] == "CheckDeadman":
            assert check_faults(one["spec"]) == []


@pytest.mark.parametrize(
    "bad", yaml.safe_load((HERE / "bad_cells.yml").read_text()), ids=lambda bad: str(bad["fault"])
)
def test_the_guard_sees_cells_that_the_page_would_draw_wrongly(bad: dict[str, Any]) -> None:
    assert bad["fault"] in template_faults(bad["chart"])


def test_the_guard_sees_a_text_that_does_not_say_which_level_it_is() -> None:
    assert check_faults({"statusMessageTemplate": "Gateway ${ r.gateway } has sent nothing for five minutes"})


@pytest.mark.parametrize("board", boards())
def test_cells_have_names_of_their_own(board: str) -> None:
    """A cell that a person changed is known by its name."""
    names = [chart["name"] for chart in boards()[board]["charts"]]
    assert len(names) == len(set(names))


def test_the_files_are_what_the_cells_say() -> None:
    shipped = {path.name: path.read_text() for path in DIRECTORY.glob("dashboard*.yml")}
    assert shipped == rendered(), "run `python -m dashboards`"


def offered(documents: list[dict[str, object]]) -> dict[str, str]:
    (values,) = [one["spec"]["values"] for one in documents if one["metadata"]["name"] == "fleet-windows"]  # type: ignore[index]
    return dict(values)


def test_a_bucket_that_is_no_longer_named_stays_as_it_is_and_stays_offered() -> None:
    kept = [KeptBucket("old", "old", "what was", 0), KeptBucket("other", "other", "", 3600)]
    now = {"1m": "old", "5m": "other", "2h": "telemetry_2h", "10m": "telemetry_10m"}
    documents = documents_for(WINDOWS, kept, now)
    by_name = {one["metadata"]["name"]: one["spec"] for one in documents}
    assert by_name["old"]["retentionRules"] == []
    assert by_name["old"]["description"] == "what was"
    assert by_name["other"]["retentionRules"] == [{"type": "expire", "everySeconds": 3600}]
    assert offered(documents) == {
        "1m": "telemetry",
        "10m": "telemetry_10m",
        "1h": "telemetry_1h",
        "1m (old)": "old",
        "5m": "other",
    }
    assert offered(documents_for(WINDOWS, kept, offered(documents))) == offered(documents)
