"""Salvage: fill a new store with what can still be read of a damaged one."""
