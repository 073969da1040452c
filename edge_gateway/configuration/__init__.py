"""gateway.yaml: its model, where its values come from, and the secrets it names."""
