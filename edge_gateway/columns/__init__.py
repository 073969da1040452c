"""Columns over devices and readings, and the numbers that stand for their names."""
