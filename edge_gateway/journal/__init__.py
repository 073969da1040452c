"""What is on disk before it is acknowledged: segments, checkpoints, and the spool directory they lie in."""
