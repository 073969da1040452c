"""Recorded CSV files replayed as devices: mapping columns, reading rows, sending samples."""
