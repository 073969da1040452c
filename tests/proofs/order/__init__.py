"""Readings in any order, again and late, against an oracle."""
