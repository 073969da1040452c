"""Keep buckets, variables, the dashboard and a check in InfluxDB up to date, through one stack.

    influx/*.yml + gateway.yaml's windows ─▶ documents ─▶ a dry run on the server ─▶ wanted facts ───┐
    the stack's resources ─▶ present facts ─────────────────────────────────────────────────────────┼▶ plan ─▶ apply
    the stack's description ─▶ digests of what was applied ──────────────────────────────────────────┘

Without a stack each apply would create another dashboard. Resources it does not own, changes made by hand since the
last apply, and points that a shorter retention would delete are left alone without --adopt or --force.
"""
