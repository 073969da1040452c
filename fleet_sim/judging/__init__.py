"""Judges a run: readings lost and double, windows in the database, alerts missed and false."""
