"""Full disks: a real one, and a model that fills at every write."""
