"""Rules over groups of devices: who is in which group, the aggregates of their values, and the alerts of groups."""
