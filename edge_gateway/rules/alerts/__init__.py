"""The state of alerts: what fires, what resolves, and when time alone does it."""
