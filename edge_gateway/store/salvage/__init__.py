"""A new store from what can still be read of a damaged one."""
