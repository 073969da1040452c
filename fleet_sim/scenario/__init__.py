"""Scenario files: their grammar, reading and checking them, and the devices they describe."""
