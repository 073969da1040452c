"""Shards of buckets on a real server: as it would have made them for what they keep now."""

from typing import Any

import pytest

from edge_gateway.sinks.influx.setup.apply import apply, plan
from edge_gateway.sinks.influx.setup.documents import WindowBucket
from edge_gateway.sinks.influx.setup.facts import Facts
from edge_gateway.sinks.influx.setup.plan import Allowed
from edge_gateway.sinks.influx.setup.shards import fitting, misfit
from tests.gateway.sinks.influx.setup.place import DAY, MINUTE, all_of, org_id, target
from tests.servers.influx import Influx

HOUR_S, DAY_S = 3_600, 86_400


def kept(influx: Influx, bucket: str) -> dict[str, Any]:
    (found,) = [one for one in all_of(influx, "buckets") if one["name"] == bucket]
    (rule,) = found["retentionRules"]
    return {"keeps": rule["everySeconds"], "shards": rule["shardGroupDurationSeconds"]}


@pytest.mark.parametrize(
    "keeps", [HOUR_S, 2 * DAY_S - 1, 2 * DAY_S, 180 * DAY_S - 1, 180 * DAY_S, 730 * DAY_S, 0]
)
def test_what_fits_is_what_the_server_chooses_for_a_new_bucket(influx: Influx, keeps: int) -> None:
    assert kept(influx, influx.fresh_bucket(retention_s=keeps))["shards"] == fitting(keeps)


@pytest.mark.parametrize(
    ("keeps", "found", "changed"),
    [
        (730 * DAY_S, Facts("b", {}, 730 * DAY_S, HOUR_S), True),
        (30 * DAY_S, Facts("b", {}, 30 * DAY_S, HOUR_S), False),
        (0, Facts("b", {}, 0, DAY_S), True),
        (0, Facts("b", {}, 0, 30 * DAY_S), False),
        (30 * DAY_S, Facts("b", {}, 3 * DAY_S, HOUR_S), True),
        (30 * DAY_S, Facts("b", {}, 3 * DAY_S, DAY_S), False),
        (30 * DAY_S, Facts("b", {}, 3 * DAY_S), False),
    ],
)
def test_shards_change_with_the_retention_or_where_they_are_too_many(
    keeps: int, found: Facts, changed: bool
) -> None:
    assert misfit(Facts("b", {}, keeps), found) == changed


@pytest.mark.parametrize("days", [730, 0])
async def test_a_longer_keep_brings_longer_shards(clean: Influx, days: int) -> None:
    await apply(target(clean), [WindowBucket(MINUTE, "telemetry", DAY)])
    assert kept(clean, "telemetry") == {"keeps": DAY_S, "shards": HOUR_S}
    longer = [WindowBucket(MINUTE, "telemetry", days * DAY)]
    (change,) = [one for one in (await plan(target(clean), longer)).changes if one.kind == "Bucket"]
    assert "shards of 1h" in change.differs[1]
    assert "not of 7d" in change.differs[1]
    await apply(target(clean), longer)
    assert kept(clean, "telemetry") == {"keeps": days * DAY_S, "shards": 7 * DAY_S}
    assert (await plan(target(clean), longer)).in_step


async def test_an_adopted_bucket_of_too_many_shards_gets_longer_ones(clean: Influx) -> None:
    rule = {"type": "expire", "everySeconds": 730 * DAY_S, "shardGroupDurationSeconds": HOUR_S}
    body = {"name": "telemetry", "orgID": org_id(clean), "retentionRules": [rule]}
    clean.call("POST", "/api/v2/buckets", body)
    windows = [WindowBucket(MINUTE, "telemetry", 730 * DAY)]
    found = await plan(target(clean), windows)
    assert any("17,520 of them" in text for one in found.changes for text in one.differs)
    await apply(target(clean), windows, Allowed(adopt=("bucket/telemetry",)))
    assert kept(clean, "telemetry") == {"keeps": 730 * DAY_S, "shards": 7 * DAY_S}
