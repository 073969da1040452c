"""From a spool to a running state: attempts, replay, and messages taken out of quarantine."""
