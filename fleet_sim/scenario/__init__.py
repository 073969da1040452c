"""Scenario files: their grammar, how they are read and checked, and the devices they plan."""
