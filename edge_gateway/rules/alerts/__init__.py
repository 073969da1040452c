"""Alerts: the state of each rule on each device, driven by readings and by time."""
