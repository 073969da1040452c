"""Full disks: a real one, and a model that is full from a chosen write on."""
