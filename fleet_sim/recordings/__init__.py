"""Recorded CSV files as devices: how their columns map to metrics, and how their rows are read."""
