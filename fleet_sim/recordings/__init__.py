"""Replay of recorded CSV files as devices."""
