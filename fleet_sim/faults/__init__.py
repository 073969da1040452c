"""Faults: their kinds, which devices have which and when, and how they are carried out."""
