"""`influx apply` and `influx status`: buckets, variables and dashboards through one stack."""

from __future__ import annotations

import typer

app = typer.Typer(help="InfluxDB's buckets, variables and dashboards.", no_args_is_help=True)
