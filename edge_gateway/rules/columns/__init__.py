"""Expressions over columns: compiled once, computed for many rows at a time."""
