"""Faults: their kinds, their devices and times, and their injection."""
