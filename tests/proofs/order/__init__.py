"""Readings out of order, repeated and late, compared with an oracle."""
