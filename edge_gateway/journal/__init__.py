"""Durability: the journal and its commit thread, checkpoints, and the spool directory that holds them."""
