"""Rules over columns: expressions compiled once and computed for many rows at a time."""
