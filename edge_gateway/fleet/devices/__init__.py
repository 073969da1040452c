"""What the registry knows: births, presence, tag versions, and the numbers of metrics and series."""
