"""Buckets, variables, the dashboard and a check in InfluxDB, kept in step through one stack.

    influx/*.yml + gateway.yaml's windows ─▶ documents ─▶ a dry run on the server ─▶ what is wanted ─┐
    the stack's resources ─▶ what is there ──────────────────────────────────────────────────────────┼▶ plan ─▶ apply
    the stack's description ─▶ digests of what was applied ──────────────────────────────────────────┘

Without a stack every apply would make the dashboard again. What the stack does not own, what a person changed since,
and points that a shorter retention would delete are not touched unless that is asked for by name or by force.
"""
