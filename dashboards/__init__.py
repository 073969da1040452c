"""The dashboards that ship with the gateway. `python -m dashboards` writes influx/dashboard-*.yml from them.

A template needs fifty lines for a table; here a cell is what differs from the next one.
"""
