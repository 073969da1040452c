"""gateway.yaml: its model, the sources of its values, its secrets."""
