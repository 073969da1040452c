"""What `influx apply` leaves in a server that several tests share."""

from tests.servers.influx import ORG, Influx


def org_id(influx: Influx) -> str:
    """Return the organisation's id, for requests that would otherwise list leftovers of deleted organisations too."""
    return str(influx.call("GET", f"/api/v2/orgs?org={influx.org}")["orgs"][0]["id"])


def uninstall(influx: Influx) -> None:
    """Remove the stack, other tests' organisations, and whatever else stands in the way of the stack's names."""
    org = org_id(influx)
    for other in influx.call("GET", "/api/v2/orgs?limit=100")["orgs"]:
        if other["id"] != org and other["name"] != ORG:
            influx.call("DELETE", f"/api/v2/orgs/{other['id']}")
    for stack in influx.call("GET", f"/api/v2/stacks?orgID={org}&name=edge-fleet")["stacks"] or ():
        if stack["eventType"] != "uninstall":
            influx.call("POST", f"/api/v2/stacks/{stack['id']}/uninstall?orgID={org}")
    for kind in ("buckets", "dashboards", "checks", "variables"):
        for one in influx.call("GET", f"/api/v2/{kind}?orgID={org}&limit=100")[kind] or ():
            if kind != "buckets" or one["name"].startswith("telemetry"):
                influx.call("DELETE", f"/api/v2/{kind}/{one['id']}")
